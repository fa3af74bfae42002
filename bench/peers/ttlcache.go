package main

import (
	"context"

	"github.com/jellydator/ttlcache/v3"
)

func ttlcacheCache() peer {
	return peer{
		name: "ttlcache",
		note: "WithDisableTouchOnHit: else a hit prolongs the TTL; its loader has no ctx and no error",
		fill: fillTTLCache,
		load: func(capacity int, load loadFunc) loading {
			c := newTTLCache(capacity, loaderOf(func(c *ttlcache.Cache[string, *value], key string) *ttlcache.Item[string, *value] {
				v, err := load(context.Background(), key)
				if err != nil {
					return nil
				}
				return c.Set(key, v, ttlcache.DefaultTTL)
			}))
			return loading{close: nothing, get: func(_ context.Context, key string) (*value, error) { return c.Get(key).Value(), nil }}
		},
	}
}

func loaderOf(load ttlcache.LoaderFunc[string, *value]) ttlcache.Option[string, *value] {
	return ttlcache.WithLoader(ttlcache.NewSuppressedLoader(load, nil))
}

func newTTLCache(capacity int, more ...ttlcache.Option[string, *value]) *ttlcache.Cache[string, *value] {
	return ttlcache.New(append(more,
		ttlcache.WithTTL[string, *value](ttl),
		ttlcache.WithCapacity[string, *value](uint64(capacity)),
		ttlcache.WithDisableTouchOnHit[string, *value](),
	)...)
}

// fillTTLCache fills two caches, one of which would load.
func fillTTLCache(w *workload) filled {
	c := newTTLCache(len(w.keys))
	loading := newTTLCache(len(w.keys), loaderOf(func(*ttlcache.Cache[string, *value], string) *ttlcache.Item[string, *value] { return nil }))
	for i, key := range w.keys {
		c.Set(key, w.values[i], ttlcache.DefaultTTL)
		loading.Set(key, w.values[i], ttlcache.DefaultTTL)
	}
	return filled{
		hit:    func(i int) bool { return c.Get(w.order[i]) != nil },
		loader: func(i int) bool { return loading.Get(w.order[i]) != nil },
		len:    c.Len,
		close:  nothing,
	}
}
