package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/warmcache/warmcache/examples/internal/toll"
)

// serviceFromEnv must not use the context of an invocation: the clients outlive it.
func serviceFromEnv() (*service, error) {
	a, err := apiFromEnv()
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return nil, fmt.Errorf("configure the AWS clients: %w", err)
	}
	secret, parameter := os.Getenv("SECRET_ID"), os.Getenv("SECRET_PARAMETER")
	switch {
	case (secret == "") == (parameter == ""):
		return nil, errors.New("set either SECRET_ID, a secret of Secrets Manager, or SECRET_PARAMETER, a parameter of SSM")
	case secret != "":
		return newService(secretsManager(secretsmanager.NewFromConfig(cfg)), secret, a), nil
	}
	return newService(parameterStore(ssm.NewFromConfig(cfg)), parameter, a), nil
}

// secretsManager returns a Load that reads the version AWSCURRENT.
func secretsManager(client *secretsmanager.Client) func(context.Context, string) (Credentials, error) {
	return func(ctx context.Context, id string) (Credentials, error) {
		if err := toll.Pay(ctx, "GetSecretValue"); err != nil { // for tests and benchmarks only: see the package
			return Credentials{}, err
		}
		got, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
		if err != nil {
			return Credentials{}, err
		}
		return named(id)(parseCredentials(aws.ToString(got.SecretString)))
	}
}

// parameterStore returns a Load that reads a SecureString.
func parameterStore(client *ssm.Client) func(context.Context, string) (Credentials, error) {
	return func(ctx context.Context, name string) (Credentials, error) {
		if err := toll.Pay(ctx, "GetParameter"); err != nil {
			return Credentials{}, err
		}
		got, err := client.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: aws.Bool(true)})
		if err != nil {
			return Credentials{}, err
		}
		return named(name)(parseCredentials(aws.ToString(got.Parameter.Value)))
	}
}

// named adds the name of the secret to an error.
func named(id string) func(Credentials, error) (Credentials, error) {
	return func(c Credentials, err error) (Credentials, error) {
		if err != nil {
			err = fmt.Errorf("secret %q: %w", id, err)
		}
		return c, err
	}
}
