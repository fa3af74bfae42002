package main

import (
	"context"

	"github.com/warmcache/warmcache/cache"
)

func warmcacheStrings() peer {
	return peer{
		name: subject,
		fill: func(w *workload) filled {
			c := fillWarm(len(w.keys), w.keys, w.byKey)
			f := readWarm(c, w.order)
			f.many = func(from, to int) (found int) {
				for _, keys := range w.batches[from:to] {
					results, _ := c.GetMany(context.Background(), keys)
					for _, r := range results {
						if r.Found {
							found++
						}
					}
				}
				return found
			}
			return f
		},
		load:   loadWarm,
		replay: replayWarm,
		toy: toy{imports: []string{"context", "time", "github.com/warmcache/warmcache/cache"}, body: `
	c := cache.Must(cache.New(cache.Options[string, *int]{
		Load: func(context.Context, string) (*int, error) { return new(int), nil },
		TTL:  time.Hour,
	}))
	c.Get(context.Background(), "key")`},
	}
}

func warmcacheRoomy() peer {
	return peer{name: subject + ", roomy", note: "MaxEntries 4 times the entries: no hit moves one; for information", fill: func(w *workload) filled {
		return readWarm(fillWarm(4*len(w.keys), w.keys, w.byKey), w.order)
	}}
}

func warmcacheInts() peer {
	return peer{name: subject + ", int keys", note: "for information", fill: func(w *workload) filled {
		ints := make([]int, len(w.keys))
		for i := range ints {
			ints[i] = i
		}
		return readWarm(fillWarm(len(ints), ints, func(key int) *value { return w.values[key] }), w.orderInts)
	}}
}

func warmcacheStructs() peer {
	return peer{name: subject + ", struct keys", note: "two strings; for information", fill: func(w *workload) filled {
		byKey := func(key structKey) *value { return w.values[index(key.sku)] }
		return readWarm(fillWarm(len(w.keys), w.structs, byKey), w.orderStructs)
	}}
}

func fillWarm[K comparable](capacity int, keys []K, byKey func(K) *value) *cache.Cache[K, *value] {
	c := cache.Must(cache.New(cache.Options[K, *value]{
		Load:       func(_ context.Context, key K) (*value, error) { return byKey(key), nil },
		TTL:        ttl,
		MaxEntries: capacity,
	}))
	for _, key := range keys {
		must(c.Get(context.Background(), key))
	}
	return c
}

// readWarm reads through Get, which is the method that loads as well.
func readWarm[K comparable](c *cache.Cache[K, *value], order []K) filled {
	hit := func(from, to int) (found int) {
		for _, key := range order[from:to] {
			if v, err := c.Get(context.Background(), key); err == nil && v != nil {
				found++
			}
		}
		return found
	}
	return filled{hit: hit, loader: hit, len: c.Len, close: nothing}
}

func loadWarm(capacity int, load loadFunc) loading {
	c := cache.Must(cache.New(cache.Options[string, *value]{Load: load, TTL: ttl, MaxEntries: capacity}))
	return loading{
		miss: func(ctx context.Context, keys []string) (loaded int) {
			for _, key := range keys {
				if v, err := c.Get(ctx, key); err == nil && v != nil {
					loaded++
				}
			}
			return loaded
		},
		get:   c.Get,
		close: nothing,
	}
}

func replayWarm(capacity int, keys []int32) int {
	c := cache.Must(cache.New(cache.Options[int32, bool]{
		Load:       func(context.Context, int32) (bool, error) { return true, nil },
		TTL:        ttl,
		MaxEntries: capacity,
	}))
	for _, key := range keys {
		c.Get(context.Background(), key)
	}
	return int(c.Stats().Hits)
}
