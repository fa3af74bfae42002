// Command hello is a Lambda function that knows nothing of this repository.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

type event struct {
	Name string `json:"name"`
	Fail bool   `json:"fail"`
	Hang bool   `json:"hang"`
}

var count int

func handle(_ context.Context, e event) (string, error) {
	if e.Hang {
		select {}
	}
	if e.Fail {
		return "", errors.New("there is no such customer")
	}
	if os.Getenv("COUNT") != "" {
		count++
		return fmt.Sprint(count), nil
	}
	return os.Getenv("GREETING") + " " + e.Name, nil
}

func main() {
	switch os.Getenv("INIT") {
	case "die":
		fmt.Fprintln(os.Stderr, "DATABASE_URL is not set")
		os.Exit(1)
	case "hang":
		time.Sleep(time.Hour)
	}
	lambda.StartWithOptions(handle, options()...)
}

func options() []lambda.Option {
	if os.Getenv("START") != "sigterm" {
		return nil
	}
	return []lambda.Option{lambda.WithEnableSIGTERM(func() {
		f, err := os.OpenFile(os.Getenv("JOURNAL"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, "SIGTERM")
		f.Close()
	})}
}
