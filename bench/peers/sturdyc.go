package main

import (
	"context"

	"github.com/viccon/sturdyc"
)

func sturdycCache() peer {
	return peer{
		name: "sturdyc",
		note: "10 shards, as its README; capacity doubled for hits and memory, its shards fill unevenly; WithNoContinuousEvictions: else its goroutine stays",
		fill: fillSturdyc,
		load: loadSturdyc,
		toy: toy{imports: []string{"context", "time", "github.com/viccon/sturdyc"}, body: `
	c := sturdyc.New[*int](1000, 10, time.Hour, 10)
	c.GetOrFetch(context.Background(), "key", func(context.Context) (*int, error) { return new(int), nil })`},
	}
}

func newSturdyc(capacity int) *sturdyc.Client[*value] {
	return sturdyc.New[*value](capacity, 10, ttl, 10, sturdyc.WithNoContinuousEvictions())
}

func fillSturdyc(w *workload) filled {
	c := newSturdyc(2 * len(w.keys))
	for i, key := range w.keys {
		c.Set(key, w.values[i])
	}
	fetch := func(context.Context) (*value, error) { return nil, nil }
	fetchMany := func(context.Context, []string) (map[string]*value, error) { return nil, nil }
	same := func(id string) string { return id }
	return filled{
		hit: func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if _, ok := c.Get(key); ok {
					found++
				}
			}
			return found
		},
		loader: func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if v, err := c.GetOrFetch(context.Background(), key, fetch); err == nil && v != nil {
					found++
				}
			}
			return found
		},
		many: func(from, to int) (found int) {
			for _, keys := range w.batches[from:to] {
				values, _ := c.GetOrFetchBatch(context.Background(), keys, same, fetchMany)
				for _, key := range keys {
					if values[key] != nil {
						found++
					}
				}
			}
			return found
		},
		len:   c.Size,
		close: nothing,
	}
}

func loadSturdyc(capacity int, load loadFunc) loading {
	c := newSturdyc(capacity)
	get := func(ctx context.Context, key string) (*value, error) {
		return c.GetOrFetch(ctx, key, func(ctx context.Context) (*value, error) { return load(ctx, key) })
	}
	return loading{
		miss: func(ctx context.Context, keys []string) (loaded int) {
			for _, key := range keys {
				if v, err := get(ctx, key); err == nil && v != nil {
					loaded++
				}
			}
			return loaded
		},
		get:   get,
		close: nothing,
	}
}
