package main

import (
	"context"

	"github.com/maypok86/otter/v2"
)

func otterWriting() peer {
	return peer{
		name: "otter",
		note: "ExpiryWriting",
		fill: func(w *workload) filled { return fillOtter(w, otter.ExpiryWriting[string, *value](ttl)) },
		load: func(capacity int, load loadFunc) loading {
			c := newOtter(capacity, otter.ExpiryWriting[string, *value](ttl))
			loader := otter.LoaderFunc[string, *value](load)
			return loading{
				get:   func(ctx context.Context, key string) (*value, error) { return c.Get(ctx, key, loader) },
				close: func() { c.StopAllGoroutines() },
			}
		},
		// Maintenance runs in its caller, so that a tight loop does not get ahead of it.
		replay: func(capacity int) replaying {
			c := otter.Must(&otter.Options[int32, bool]{MaximumSize: capacity, Executor: func(task func()) { task() }})
			return replaying{close: func() { c.StopAllGoroutines() }, hit: func(key int32) bool {
				_, ok := c.GetIfPresent(key)
				if !ok {
					c.Set(key, true)
				}
				return ok
			}}
		},
	}
}

func otterForever() peer {
	return peer{name: "otter, no TTL", note: "no expiry: reads no clock", fill: func(w *workload) filled { return fillOtter(w, nil) }}
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
	none := otter.LoaderFunc[string, *value](func(context.Context, string) (*value, error) { return nil, nil })
	bulk := otter.BulkLoaderFunc[string, *value](func(context.Context, []string) (map[string]*value, error) { return nil, nil })
	return filled{
		hit: func(i int) bool { _, ok := c.GetIfPresent(w.order[i]); return ok },
		loader: func(i int) bool {
			v, err := c.Get(context.Background(), w.order[i], none)
			return err == nil && v != nil
		},
		many: func(keys []string) int {
			values, _ := c.BulkGet(context.Background(), keys, bulk)
			return count(len(keys), func(i int) bool { return values[keys[i]] != nil })
		},
		len:   c.EstimatedSize,
		close: func() { c.StopAllGoroutines() },
	}
}
