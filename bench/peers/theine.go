package main

import (
	"context"

	"github.com/Yiling-J/theine-go"
)

func theineCache() peer {
	return peer{
		name: "theine",
		fill: fillTheine,
		load: func(capacity int, load loadFunc) loading {
			c := newTheine(capacity, load)
			return loading{get: c.Get, close: c.Close}
		},
		// Each write waits: theine queues them, and a loop that does not wait has more
		// in the cache than its capacity.
		replay: func(capacity int) replaying {
			c := must(theine.NewBuilder[int32, bool](int64(capacity)).Build())
			return replaying{close: c.Close, hit: func(key int32) bool {
				_, ok := c.Get(key)
				if !ok {
					c.Set(key, true, 1)
					c.Wait()
				}
				return ok
			}}
		},
	}
}

func newTheine(capacity int, load loadFunc) *theine.LoadingCache[string, *value] {
	return must(theine.NewBuilder[string, *value](int64(capacity)).Loading(
		func(ctx context.Context, key string) (theine.Loaded[*value], error) {
			v, err := load(ctx, key)
			return theine.Loaded[*value]{Value: v, Cost: 1, TTL: ttl}, err
		}).Build())
}

// fillTheine fills two caches: one that loads is of another type.
func fillTheine(w *workload) filled {
	c := must(theine.NewBuilder[string, *value](int64(len(w.keys))).Build())
	loading := newTheine(len(w.keys), func(_ context.Context, key string) (*value, error) { return w.byKey(key), nil })
	for i, key := range w.keys {
		c.SetWithTTL(key, w.values[i], 1, ttl)
		loading.SetWithTTL(key, w.values[i], 1, ttl)
	}
	c.Wait()
	loading.Wait()
	return filled{
		hit: func(i int) bool { _, ok := c.Get(w.order[i]); return ok },
		loader: func(i int) bool {
			v, err := loading.Get(context.Background(), w.order[i])
			return err == nil && v != nil
		},
		len:   c.Len,
		close: func() { c.Close(); loading.Close() },
	}
}
