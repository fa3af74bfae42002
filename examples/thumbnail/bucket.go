package main

import (
	"context"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/examples/internal/s3bucket"
)

// store is a bucket with its client.
type store struct {
	client *s3.Client
	name   string
}

// bucket returns the bucket for sources and thumbnails. Its client serves all
// invocations, with its connections and credentials.
var bucket = sync.OnceValues(newBucket)

func newBucket() (store, error) {
	client, name, err := s3bucket.Client("THUMBNAIL_BUCKET")
	return store{client, name}, err
}

// upload sends a file. With its length and checksum, S3 rejects an incomplete
// upload.
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
