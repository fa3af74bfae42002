package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache"
)

// openPlain reads the whole object into memory on each invocation, as a function
// without a cache does.
func openPlain(ctx context.Context, key string) (readerAtCloser, int64, error) {
	b, err := fetch(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	return inMemory{bytes.NewReader(b)}, int64(len(b)), nil
}

func fetch(ctx context.Context, key string) ([]byte, error) {
	models, err := bucket()
	if err != nil {
		return nil, err
	}
	got, err := models.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &models.Name, Key: &key})
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		return nil, fmt.Errorf("read s3://%s/%s: %w", models.Name, key, err)
	}
	if sum := os.Getenv("MODEL_SHA256"); sum != "" && fmt.Sprintf("%x", sha256.Sum256(b)) != sum {
		return nil, fmt.Errorf("s3://%s/%s: %w", models.Name, key, filecache.ErrChecksum)
	}
	return b, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }
