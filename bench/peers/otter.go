package main

import (
	"context"

	"github.com/maypok86/otter/v2"
)

func otterWriting() peer {
	return peer{
		name: "otter",
		note: "ExpiryWriting",
		fill: func(w *workload) filled {
			return fillOtter(w, otter.ExpiryWriting[string, *value](ttl))
		},
		load: func(capacity int, load loadFunc) loading {
			c := newOtter(capacity, otter.ExpiryWriting[string, *value](ttl))
			loader := otter.LoaderFunc[string, *value](load)
			return loading{
				miss: func(ctx context.Context, keys []string) (loaded int) {
					for _, key := range keys {
						if v, err := c.Get(ctx, key, loader); err == nil && v != nil {
							loaded++
						}
					}
					return loaded
				},
				get: func(ctx context.Context, key string) (*value, error) {
					return c.Get(ctx, key, loader)
				},
				close: func() { c.StopAllGoroutines() },
			}
		},
		replay: replayOtter,
		toy: toy{imports: []string{"context", "time", "github.com/maypok86/otter/v2"}, body: `
	c := otter.Must(&otter.Options[string, *int]{
		MaximumSize:      1000,
		ExpiryCalculator: otter.ExpiryWriting[string, *int](time.Hour),
	})
	c.Get(context.Background(), "key", otter.LoaderFunc[string, *int](func(context.Context, string) (*int, error) {
		return new(int), nil
	}))`},
	}
}

func otterForever() peer {
	return peer{name: "otter, no TTL", note: "no expiry: reads no clock", fill: func(w *workload) filled {
		return fillOtter(w, nil)
	}}
}

func newOtter(capacity int, expiry otter.ExpiryCalculator[string, *value]) *otter.Cache[string, *value] {
	return otter.Must(&otter.Options[string, *value]{MaximumSize: capacity, ExpiryCalculator: expiry})
}

func fillOtter(w *workload, expiry otter.ExpiryCalculator[string, *value]) filled {
	c := newOtter(len(w.keys), expiry)
	for i, key := range w.keys {
		c.Set(key, w.values[i])
	}
	c.CleanUp()
	loader := otter.LoaderFunc[string, *value](func(context.Context, string) (*value, error) { return nil, nil })
	bulk := otter.BulkLoaderFunc[string, *value](func(context.Context, []string) (map[string]*value, error) { return nil, nil })
	return filled{
		hit: func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if _, ok := c.GetIfPresent(key); ok {
					found++
				}
			}
			return found
		},
		loader: func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if v, err := c.Get(context.Background(), key, loader); err == nil && v != nil {
					found++
				}
			}
			return found
		},
		many: func(from, to int) (found int) {
			for _, keys := range w.batches[from:to] {
				values, _ := c.BulkGet(context.Background(), keys, bulk)
				for _, key := range keys {
					if values[key] != nil {
						found++
					}
				}
			}
			return found
		},
		len:   c.EstimatedSize,
		close: func() { c.StopAllGoroutines() },
	}
}

// replayOtter runs otter's maintenance in its caller, so that a tight loop does
// not get ahead of it.
func replayOtter(capacity int, keys []int32) (hits int) {
	c := otter.Must(&otter.Options[int32, bool]{MaximumSize: capacity, Executor: func(task func()) { task() }})
	defer c.StopAllGoroutines()
	for _, key := range keys {
		if _, ok := c.GetIfPresent(key); ok {
			hits++
		} else {
			c.Set(key, true)
		}
	}
	return hits
}
