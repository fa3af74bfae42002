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
			f.many = func(keys []string) int {
				results, _ := c.GetMany(context.Background(), keys)
				return count(len(results), func(i int) bool { return results[i].Found })
			}
			return f
		},
		load: func(capacity int, load loadFunc) loading {
			c := cache.Must(cache.New(cache.Options[string, *value]{Load: load, TTL: ttl, MaxEntries: capacity}))
			return loading{get: c.Get, close: nothing}
		},
		replay: func(capacity int) replaying {
			loads := 0
			c := cache.Must(cache.New(cache.Options[int32, bool]{
				Load:       func(context.Context, int32) (bool, error) { loads++; return true, nil },
				TTL:        ttl,
				MaxEntries: capacity,
			}))
			return replaying{close: nothing, hit: func(key int32) bool {
				before := loads
				v, err := c.Get(context.Background(), key)
				return v && err == nil && loads == before
			}}
		},
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
	hit := func(i int) bool {
		v, err := c.Get(context.Background(), order[i])
		return err == nil && v != nil
	}
	return filled{hit: hit, loader: hit, len: c.Len, close: nothing}
}
