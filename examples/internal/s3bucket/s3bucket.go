// Package s3bucket connects the examples to S3.
package s3bucket

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache/s3source"
)

// FromEnv returns the bucket that an environment variable names. Call it once in a
// process, with sync.OnceValues, so that all invocations share the connections and
// credentials of the client.
func FromEnv(variable string) (s3source.Bucket, error) {
	client, name, err := Client(variable)
	if err != nil {
		return s3source.Bucket{}, err
	}
	return s3source.Bucket{Client: client, Name: name}, nil
}

// Client returns a client for S3 and the bucket's name from the variable.
func Client(variable string) (client *s3.Client, bucket string, err error) {
	if bucket = os.Getenv(variable); bucket == "" {
		return nil, "", fmt.Errorf("%s is not set: it names the S3 bucket", variable)
	}
	cfg, err := config.LoadDefaultConfig(context.Background()) // the client outlives each invocation
	if err != nil {
		return nil, "", fmt.Errorf("configure the S3 client: %w", err)
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = os.Getenv("S3_PATH_STYLE") == "1" // most servers other than Amazon's need it
	}), bucket, nil
}
