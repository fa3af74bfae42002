package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// maxObject is the largest object to read into memory, in bytes.
const maxObject = 64 << 20

// scan fetches the image. It is needed once, so caching it would only fill /tmp.
func (s *settings) scan(ctx context.Context, bucket, key string) ([]byte, error) {
	b, err := s.download(ctx, bucket, key)
	if missing := (*types.NoSuchKey)(nil); errors.As(err, &missing) {
		return nil, rejection("there is no such scan")
	}
	return b, err
}

func (s *settings) download(ctx context.Context, bucket, key string) ([]byte, error) {
	got, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(io.LimitReader(got.Body, maxObject+1))
	if err != nil {
		return nil, fmt.Errorf("read s3://%s/%s: %w", bucket, key, err)
	}
	if len(b) > maxObject {
		return nil, fmt.Errorf("s3://%s/%s is larger than %d bytes", bucket, key, maxObject)
	}
	return b, nil
}

func (s *settings) upload(ctx context.Context, key string, b []byte) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.copies, Key: &key, Body: bytes.NewReader(b), ContentType: aws.String("image/png"),
	})
	return err
}
