package main

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// files keeps the sources in /tmp: the next invocation may need another size.
var files = filecache.Must(filecache.New(filecache.Options{
	MaxAge: time.Minute, // after that, the cache checks S3 for a newer version
}))

// disk has the operations on /tmp. WARMCACHE=off selects the implementation without
// the library. The answers are the same.
type disk struct {
	// open opens a source for reading. It may be called any number of times.
	open func(ctx context.Context, key string) (io.ReadSeekCloser, error)

	// scratch creates an empty directory for one invocation.
	scratch func() (dir string, remove func() error, err error)
}

func chosenDisk() disk {
	if os.Getenv("WARMCACHE") == "off" {
		return disk{downloaded, temporary}
	}
	return disk{cached, files.Scratch}
}

func cached(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	b, err := bucket()
	if err != nil {
		return nil, err
	}
	return files.Open(ctx, s3source.Bucket{Client: b.client, Name: b.name}.Object(key))
}

// downloaded fetches the source on each call, into an unlinked file.
func downloaded(ctx context.Context, key string) (io.ReadSeekCloser, error) {
	b, err := bucket()
	if err != nil {
		return nil, err
	}
	got, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	f, err := os.CreateTemp("", "source")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name()) // an open file stays readable
	if _, err = io.Copy(f, got.Body); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// temporary leaks the directory if the process is killed: it stays as long as /tmp.
func temporary() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "thumbnail")
	return dir, func() error { return os.RemoveAll(dir) }, err
}
