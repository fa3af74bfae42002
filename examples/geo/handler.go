package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/zstd"

	"github.com/warmcache/warmcache/examples/geo/geodb"
	"github.com/warmcache/warmcache/examples/internal/s3bucket"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// bucket returns the bucket of the database. All invocations share its client.
var bucket = sync.OnceValues(func() (s3source.Bucket, error) { return s3bucket.FromEnv("GEO_BUCKET") })

// files keeps the database in /tmp, packed and unpacked.
var files = filecache.Must(filecache.New(filecache.Options{
	MaxAge: 5 * time.Minute, // after that, the cache checks S3 for a newer version
}))

// maxSize is the largest unpacked size of the database, in bytes.
const maxSize = 256 << 20

// database is the mapped database. A newer version replaces it while invocations
// still search the old one. The last of them unmaps it.
var database = sync.OnceValues(newDatabase)

func newDatabase() (*filecache.Value[*geodb.DB], error) {
	b, err := bucket()
	if err != nil {
		return nil, err
	}
	return filecache.NewValueWith(files, unzstd(b.Object(key()), maxSize), filecache.ValueOptions[*geodb.DB]{
		Parse: open,
		Close: (*geodb.DB).Close,
	}), nil
}

// open maps the file, which remains in place until Close.
func open(ctx context.Context, f *filecache.File) (*geodb.DB, error) {
	path, err := f.Path()
	if errors.Is(err, filecache.ErrNoDisk) {
		b, err := io.ReadAll(f)
		if err != nil {
			return nil, err
		}
		return geodb.New(b)
	}
	if err != nil {
		return nil, err
	}
	return geodb.Open(path)
}

func key() string { return os.Getenv("GEO_KEY") }

// In is the event.
type In struct {
	Addresses []netip.Addr `json:"addresses"`
}

// Out is the answer.
type Out struct {
	Countries []string `json:"countries"` // in the order of the addresses; empty if unknown
}

// maxAddresses bounds the work for one event.
const maxAddresses = 1000

// handle answers one event. It does not depend on the host.
func handle(ctx context.Context, in In) (Out, error) {
	if len(in.Addresses) == 0 || len(in.Addresses) > maxAddresses {
		return Out{}, fmt.Errorf("geo: the event has %d addresses: it must have 1 to %d", len(in.Addresses), maxAddresses)
	}
	if key() == "" {
		return Out{}, errors.New("geo: GEO_KEY is not set: it names the S3 object")
	}
	db, release, err := current(ctx)
	if err != nil {
		return Out{}, fmt.Errorf("geo %s: %w", key(), err)
	}
	defer release()
	out := Out{Countries: make([]string, len(in.Addresses))}
	for i, addr := range in.Addresses {
		out.Countries[i] = db.Country(addr)
	}
	return out, nil
}

// current returns the database. WARMCACHE=off fetches and unpacks it on each
// invocation. The answers are the same.
func current(ctx context.Context) (db *geodb.DB, release func(), err error) {
	if os.Getenv("WARMCACHE") == "off" {
		db, err := fetch(ctx)
		return db, func() {}, err
	}
	v, err := database()
	if err != nil {
		return nil, nil, err
	}
	return v.Acquire(ctx)
}

func fetch(ctx context.Context) (*geodb.DB, error) {
	bucket, err := bucket()
	if err != nil {
		return nil, err
	}
	name := key()
	got, err := bucket.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket.Name, Key: &name})
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	r, err := zstd.NewReader(got.Body)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return geodb.New(b)
}
