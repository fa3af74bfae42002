package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache/s3source"
)

// bucket returns the bucket that has the database, with the one client of the
// process: its connections and credentials serve all invocations.
var bucket = sync.OnceValues(newBucket)

// newBucket must not have the context of an invocation: the client outlives it.
func newBucket() (s3source.Bucket, error) {
	name := os.Getenv("GEO_BUCKET")
	if name == "" {
		return s3source.Bucket{}, errors.New("GEO_BUCKET is not set: it names the S3 bucket")
	}
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return s3source.Bucket{}, fmt.Errorf("configure the S3 client: %w", err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = os.Getenv("S3_PATH_STYLE") == "1" // servers other than Amazon's mostly want it
	})
	return s3source.Bucket{Client: client, Name: name}, nil
}
