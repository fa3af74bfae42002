package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// store is a bucket with the client that is used for it.
type store struct {
	client *s3.Client
	name   string
}

// bucket returns the bucket for sources and thumbnails, with the one client of the
// process: its connections and credentials serve all invocations.
var bucket = sync.OnceValues(newBucket)

// newBucket must not have the context of an invocation: the client outlives it.
func newBucket() (store, error) {
	name := os.Getenv("THUMBNAIL_BUCKET")
	if name == "" {
		return store{}, errors.New("THUMBNAIL_BUCKET is not set: it names the S3 bucket")
	}
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return store{}, fmt.Errorf("configure the S3 client: %w", err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = os.Getenv("S3_PATH_STYLE") == "1" // servers other than Amazon's mostly want it
	})
	return store{client, name}, nil
}

// upload sends a file. S3 is told its length and checksum, and takes no half one.
func (s store) upload(ctx context.Context, key, contentType, path string) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.name, Key: &key, ContentType: &contentType, Body: f})
	return info.Size(), err
}
