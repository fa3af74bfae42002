package main

import (
	"context"

	"github.com/warmcache/warmcache/cache"
)

// openWarm reads through Get, which is the method that loads as well.
func openWarm(capacity int, load loadFunc) library {
	c := cache.Must(cache.New(cache.Options[string, *value]{Load: load, TTL: ttl, MaxEntries: capacity}))
	return library{
		get:  getOf(c),
		set:  func(key string, _ *value) { must(c.Get(context.Background(), key)) },
		load: c.Get,
		many: func(keys []string) (n int) {
			results, _ := c.GetMany(context.Background(), keys)
			for i := range results {
				if results[i].Found {
					n++
				}
			}
			return n
		},
		len:   c.Len,
		close: nothing,
	}
}

func getOf[K comparable](c *cache.Cache[K, *value]) func(K) bool {
	return func(key K) bool {
		v, err := c.Get(context.Background(), key)
		return err == nil && v != nil
	}
}

func openRoomy(capacity int, load loadFunc) library {
	l := openWarm(4*capacity, load)
	l.many = nil
	return l
}

func fillInts(w *workload) *filled {
	ints := make([]int, len(w.keys))
	for i := range ints {
		ints[i] = i
	}
	return fillWarm(ints, w.orderInts, func(key int) *value { return w.values[key] })
}

func fillStructs(w *workload) *filled {
	return fillWarm(w.structs, w.orderStructs, func(key structKey) *value { return w.values[index(key.sku)] })
}

func fillWarm[K comparable](keys, order []K, byKey func(K) *value) *filled {
	c := cache.Must(cache.New(cache.Options[K, *value]{
		Load:       func(_ context.Context, key K) (*value, error) { return byKey(key), nil },
		TTL:        ttl,
		MaxEntries: len(keys),
	}))
	for _, key := range keys {
		must(c.Get(context.Background(), key))
	}
	hits := readsOf(order, getOf(c))
	return &filled{hits: hits, loads: hits, len: c.Len, close: nothing}
}
