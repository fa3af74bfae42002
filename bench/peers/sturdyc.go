package main

import (
	"context"

	"github.com/viccon/sturdyc"
)

func sturdycCache() peer {
	return peer{
		name: "sturdyc",
		note: "10 shards, as its README; capacity doubled for hits, its shards fill unevenly; WithNoContinuousEvictions: else its goroutine stays",
		fill: fillSturdyc,
		load: func(capacity int, load loadFunc) loading {
			c := newSturdyc(capacity)
			return loading{close: nothing, get: func(ctx context.Context, key string) (*value, error) {
				return c.GetOrFetch(ctx, key, func(ctx context.Context) (*value, error) { return load(ctx, key) })
			}}
		},
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
		hit: func(i int) bool { _, ok := c.Get(w.order[i]); return ok },
		loader: func(i int) bool {
			v, err := c.GetOrFetch(context.Background(), w.order[i], fetch)
			return err == nil && v != nil
		},
		many: func(keys []string) int {
			values, _ := c.GetOrFetchBatch(context.Background(), keys, same, fetchMany)
			return count(len(keys), func(i int) bool { return values[keys[i]] != nil })
		},
		len:   c.Size,
		close: nothing,
	}
}
