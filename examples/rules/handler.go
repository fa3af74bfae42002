package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/examples/internal/s3bucket"
	"github.com/warmcache/warmcache/examples/rules/ruleset"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// bucket returns the bucket of the rules. All invocations share its client.
var bucket = sync.OnceValues(func() (s3source.Bucket, error) { return s3bucket.FromEnv("RULES_BUCKET") })

// files keeps the rules file in /tmp for the next process.
var files = filecache.Must(filecache.New(filecache.Options{
	MaxAge:       time.Minute, // after that, the cache checks S3 for a newer version
	StaleIfError: time.Hour,   // during an outage of S3
}))

// rules caches the parsed rules. They are parsed again only when the file has
// changed.
var rules = sync.OnceValues(newRules)

func newRules() (*filecache.Value[*ruleset.Set], error) {
	b, err := bucket()
	if err != nil {
		return nil, err
	}
	return filecache.NewValueWith(files, b.Object(key()), filecache.ValueOptions[*ruleset.Set]{
		Parse:          parse,
		StaleIfInvalid: time.Hour, // after an upload of a broken file
	}), nil
}

func parse(ctx context.Context, f *filecache.File) (*ruleset.Set, error) { return ruleset.Parse(f) }

func key() string { return os.Getenv("RULES_KEY") }

// In is the event.
type In struct {
	Cart []Item `json:"cart"`
}

// An Item is a line of a cart.
type Item struct {
	Article  string `json:"article"`
	Quantity int    `json:"quantity"`
	Cents    int64  `json:"cents"` // price of one
}

// Out is the answer.
type Out struct {
	Cents   int64  `json:"cents"`   // total
	Release string `json:"release"` // of the rules
}

// maxItems bounds the work for one event.
const maxItems = 1000

// handle answers one event. It does not depend on the host.
func handle(ctx context.Context, in In) (Out, error) {
	if len(in.Cart) == 0 || len(in.Cart) > maxItems {
		return Out{}, fmt.Errorf("rules: the cart has %d items: it must have 1 to %d", len(in.Cart), maxItems)
	}
	if key() == "" {
		return Out{}, errors.New("rules: RULES_KEY is not set: it names the S3 object")
	}
	set, err := current(ctx)
	if err != nil {
		return Out{}, fmt.Errorf("rules %s: %w", key(), err)
	}
	out := Out{Release: set.Release}
	for _, item := range in.Cart {
		full := item.Cents * int64(item.Quantity)
		out.Cents += full - full*set.Percent(item.Article, item.Quantity)/100
	}
	return out, nil
}

// current returns the rules. WARMCACHE=off fetches and parses them on each
// invocation. The answers are the same.
func current(ctx context.Context) (*ruleset.Set, error) {
	if os.Getenv("WARMCACHE") == "off" {
		return fetch(ctx)
	}
	v, err := rules()
	if err != nil {
		return nil, err
	}
	return v.Get(ctx)
}

func fetch(ctx context.Context) (*ruleset.Set, error) {
	b, err := bucket()
	if err != nil {
		return nil, err
	}
	name := key()
	got, err := b.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.Name, Key: &name})
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	return ruleset.Parse(got.Body)
}
