package main

import (
	"context"
	"sync"

	"github.com/Yiling-J/theine-go"
)

func theineCache() peer {
	return peer{
		name:   "theine",
		fill:   fillTheine,
		load:   loadTheine,
		replay: replayTheine,
		toy: toy{imports: []string{"context", "time", "github.com/Yiling-J/theine-go"}, body: `
	c, err := theine.NewBuilder[string, *int](1000).Loading(func(context.Context, string) (theine.Loaded[*int], error) {
		return theine.Loaded[*int]{Value: new(int), Cost: 1, TTL: time.Hour}, nil
	}).Build()
	if err != nil {
		panic(err)
	}
	c.Get(context.Background(), "key")`},
	}
}

func newTheine(capacity int, load loadFunc) *theine.LoadingCache[string, *value] {
	return must(theine.NewBuilder[string, *value](int64(capacity)).Loading(
		func(ctx context.Context, key string) (theine.Loaded[*value], error) {
			v, err := load(ctx, key)
			return theine.Loaded[*value]{Value: v, Cost: 1, TTL: ttl}, err
		}).Build())
}

func fillTheine(w *workload) filled {
	c := must(theine.NewBuilder[string, *value](int64(len(w.keys))).Build())
	for i, key := range w.keys {
		c.SetWithTTL(key, w.values[i], 1, ttl)
	}
	c.Wait()
	loading := sync.OnceValue(func() *theine.LoadingCache[string, *value] { // a cache of its own
		c := newTheine(len(w.keys), func(_ context.Context, key string) (*value, error) { return w.byKey(key), nil })
		for i, key := range w.keys {
			c.SetWithTTL(key, w.values[i], 1, ttl)
		}
		c.Wait()
		return c
	})
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
			c := loading()
			for _, key := range w.order[from:to] {
				if v, err := c.Get(context.Background(), key); err == nil && v != nil {
					found++
				}
			}
			return found
		},
		len:   c.Len,
		close: c.Close,
	}
}

func loadTheine(capacity int, load loadFunc) loading {
	c := newTheine(capacity, load)
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
		close: c.Close,
	}
}

// replayTheine waits for each write, which theine queues: a loop that does not
// has more in the cache than its capacity.
func replayTheine(capacity int, keys []int32) (hits int) {
	c := must(theine.NewBuilder[int32, bool](int64(capacity)).Build())
	defer c.Close()
	for _, key := range keys {
		if _, ok := c.Get(key); ok {
			hits++
		} else {
			c.Set(key, true, 1)
			c.Wait()
		}
	}
	return hits
}
