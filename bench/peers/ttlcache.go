package main

import (
	"context"
	"sync"

	"github.com/jellydator/ttlcache/v3"
)

func ttlcacheCache() peer {
	return peer{
		name: "ttlcache",
		note: "WithDisableTouchOnHit: else a hit prolongs the TTL; its loader has no ctx and no error",
		fill: fillTTLCache,
		load: loadTTLCache,
		toy: toy{imports: []string{"time", "github.com/jellydator/ttlcache/v3"}, body: `
	load := ttlcache.LoaderFunc[string, *int](func(c *ttlcache.Cache[string, *int], key string) *ttlcache.Item[string, *int] {
		return c.Set(key, new(int), ttlcache.DefaultTTL)
	})
	c := ttlcache.New(
		ttlcache.WithTTL[string, *int](time.Hour),
		ttlcache.WithCapacity[string, *int](1000),
		ttlcache.WithDisableTouchOnHit[string, *int](),
		ttlcache.WithLoader[string, *int](ttlcache.NewSuppressedLoader(load, nil)),
	)
	c.Get("key")`},
	}
}

func newTTLCache(capacity int, more ...ttlcache.Option[string, *value]) *ttlcache.Cache[string, *value] {
	return ttlcache.New(append(more,
		ttlcache.WithTTL[string, *value](ttl),
		ttlcache.WithCapacity[string, *value](uint64(capacity)),
		ttlcache.WithDisableTouchOnHit[string, *value](),
	)...)
}

func fillTTLCache(w *workload) filled {
	c := newTTLCache(len(w.keys))
	for i, key := range w.keys {
		c.Set(key, w.values[i], ttlcache.DefaultTTL)
	}
	load := ttlcache.LoaderFunc[string, *value](func(*ttlcache.Cache[string, *value], string) *ttlcache.Item[string, *value] { return nil })
	loader := ttlcache.WithLoader[string, *value](ttlcache.NewSuppressedLoader(load, nil))
	loading := sync.OnceValue(func() *ttlcache.Cache[string, *value] { // a cache of its own
		c := newTTLCache(len(w.keys), loader)
		for i, key := range w.keys {
			c.Set(key, w.values[i], ttlcache.DefaultTTL)
		}
		return c
	})
	return filled{
		hit: func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if c.Get(key) != nil {
					found++
				}
			}
			return found
		},
		loader: func(from, to int) (found int) {
			c := loading()
			for _, key := range w.order[from:to] {
				if c.Get(key) != nil {
					found++
				}
			}
			return found
		},
		len:   c.Len,
		close: nothing,
	}
}

func loadTTLCache(capacity int, load loadFunc) loading {
	loader := ttlcache.LoaderFunc[string, *value](func(c *ttlcache.Cache[string, *value], key string) *ttlcache.Item[string, *value] {
		v, err := load(context.Background(), key)
		if err != nil {
			return nil
		}
		return c.Set(key, v, ttlcache.DefaultTTL)
	})
	c := newTTLCache(capacity, ttlcache.WithLoader[string, *value](ttlcache.NewSuppressedLoader(loader, nil)))
	return loading{
		miss: func(_ context.Context, keys []string) (loaded int) {
			for _, key := range keys {
				if c.Get(key) != nil {
					loaded++
				}
			}
			return loaded
		},
		get:   func(_ context.Context, key string) (*value, error) { return c.Get(key).Value(), nil },
		close: nothing,
	}
}
