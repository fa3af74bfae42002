package main

import (
	"fmt"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/redistier"
)

// Where REDIS_URL names a Redis or Valkey server, the containers share what one of
// them has loaded. Without it, and while that server is dead, each has its own memory
// alone.
func init() {
	if url := os.Getenv("REDIS_URL"); url != "" {
		products = cache.Must(newShared(url))
	}
}

func newShared(url string) (*cache.Cache[ProductKey, Product], error) {
	ttl, err := sharedTTL()
	if err != nil {
		return nil, err
	}
	client, err := redistier.ConnectURL(url)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	tier, err := redistier.New(redistier.Options{Client: client})
	if err != nil {
		return nil, err
	}
	return cache.New(cache.Options[ProductKey, Product]{
		Load:      loadProduct,
		TTL:       ttl,
		Jitter:    0.1, // containers that started together do not all load again together
		Tier:      tier,
		Namespace: "catalog/product/1", // another number when Product changes
		Codec:     cache.JSON[Product](),
		ClockSkew: ttl / 20, // how far the clocks of containers may be apart: a price from Redis lives that much shorter
	})
}

// sharedTTL is a minute, but for tests and benchmarks, which cannot wait.
func sharedTTL() (time.Duration, error) {
	s := os.Getenv("CATALOG_TTL")
	if s == "" {
		return time.Minute, nil
	}
	ttl, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("CATALOG_TTL: %w", err)
	}
	return ttl, nil
}
