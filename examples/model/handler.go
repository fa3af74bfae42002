package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/warmcache/warmcache/examples/internal/s3bucket"
	"github.com/warmcache/warmcache/examples/model/table"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// bucket returns the bucket of the model. All invocations share its client.
var bucket = sync.OnceValues(func() (s3source.Bucket, error) { return s3bucket.FromEnv("MODEL_BUCKET") })

// files keeps the table in /tmp for later invocations, and for the next process
// after a crash if the host keeps /tmp.
var files = filecache.Must(filecache.New(filecache.Options{
	MaxAge: 5 * time.Minute, // after that, the cache checks S3 for a newer version
}))

// In is the event.
type In struct {
	IDs     []uint64 `json:"ids"`
	Program bool     `json:"program,omitempty"` // use another program to look them up; the answer is the same
}

// Out is the answer.
type Out struct {
	Prices []Price `json:"prices"` // in the order of the ids
	Model  Model   `json:"model"`
}

// Price is the price of one id, or null if the table does not have it.
type Price struct {
	ID    uint64  `json:"id"`
	Cents *uint64 `json:"price_cents"`
}

// Model describes the table that the prices come from.
type Model struct {
	Key     string `json:"key"`
	Size    int64  `json:"size"`
	Records int64  `json:"records"`
}

// maxIDs bounds the work for one event.
const maxIDs = 1000

// handle answers one event. It does not depend on the host.
func handle(ctx context.Context, in In) (Out, error) {
	if len(in.IDs) == 0 || len(in.IDs) > maxIDs {
		return Out{}, fmt.Errorf("model: the event has %d ids: it must have 1 to %d", len(in.IDs), maxIDs)
	}
	key := os.Getenv("MODEL_KEY")
	if key == "" {
		return Out{}, errors.New("model: MODEL_KEY is not set: it names the S3 object")
	}
	look := lookUp
	if in.Program {
		look = lookUpByProgram
	}
	prices, size, err := look(ctx, key, in.IDs)
	if err != nil {
		return Out{}, fmt.Errorf("model %s: %w", key, err)
	}
	return Out{Prices: prices, Model: Model{Key: key, Size: size, Records: size / table.RecordSize}}, nil
}

// plain disables the cache: WARMCACHE=off fetches the object on each invocation.
// The answers are the same.
func plain() bool { return os.Getenv("WARMCACHE") == "off" }

// lookUp returns the prices and the size of the table.
func lookUp(ctx context.Context, key string, ids []uint64) ([]Price, int64, error) {
	open := openCached
	if plain() {
		open = openPlain
	}
	t, size, err := open(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer t.Close()
	prices, err := pricesIn(t, size, ids)
	return prices, size, err
}

// object returns the table. If MODEL_SHA256 is set, a table with another checksum
// is an error, both in the bucket and in /tmp.
func object(models s3source.Bucket, key string) filecache.Object {
	if sum := os.Getenv("MODEL_SHA256"); sum != "" {
		return filecache.WithSHA256(models.Object(key), sum)
	}
	return models.Object(key)
}

// A readerAtCloser is an open table.
type readerAtCloser interface {
	io.ReaderAt
	io.Closer
}

// openCached opens the copy in /tmp. The search reads a few blocks, and each block
// is verified when this process first reads it.
func openCached(ctx context.Context, key string) (readerAtCloser, int64, error) {
	models, err := bucket()
	if err != nil {
		return nil, 0, err
	}
	f, err := files.Open(ctx, object(models, key))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// pricesIn looks up the ids in an open table.
func pricesIn(t io.ReaderAt, size int64, ids []uint64) ([]Price, error) {
	prices := make([]Price, len(ids))
	for i, id := range ids {
		cents, found, err := table.Lookup(t, size, id)
		if err != nil {
			return nil, err
		}
		prices[i].ID = id
		if found {
			prices[i].Cents = &cents
		}
	}
	return prices, nil
}
