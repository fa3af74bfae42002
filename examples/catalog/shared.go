package main

import (
	"fmt"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/redistier"
)

// If REDIS_URL is set, the containers share their loaded rows in a Redis or Valkey
// server. Without it, or while the server is down, each container uses its own
// memory only.
func init() {
	if url := os.Getenv("REDIS_URL"); url != "" {
		products = cache.Must(newShared(url))
	}
}

func newShared(url string) (*cache.Cache[ProductKey, Product], error) {
	o, err := sharedOptions(url, redistier.Options{})
	if err != nil {
		return nil, err
	}
	return cache.New(o)
}

func sharedOptions(url string, redis redistier.Options) (o cache.Options[ProductKey, Product], err error) {
	ttl, err := sharedTTL()
	if err != nil {
		return o, err
	}
	if redis.Client, err = redistier.ConnectURL(url); err != nil {
		return o, fmt.Errorf("REDIS_URL: %w", err)
	}
	tier, err := redistier.New(redis)
	if err != nil {
		return o, err
	}
	return cache.Options[ProductKey, Product]{
		Load:      loadProduct,
		TTL:       ttl,
		Jitter:    0.1, // containers that started together reload at different times
		Tier:      tier,
		Namespace: "catalog/product/1", // increment the number when Product changes
		Codec:     cache.JSON[Product](),
		ClockSkew: ttl / 20, // allowed difference between the clocks of two containers; a price from Redis expires that much sooner
	}, nil
}

// sharedTTL is a minute by default. Tests and benchmarks set CATALOG_TTL.
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
