package main

import gocache "github.com/patrickmn/go-cache"

func goCache() peer {
	return peer{name: "go-cache", note: "patrickmn; unbounded, no LRU; wall clock only", fill: func(w *workload) filled {
		c := gocache.New(ttl, 0) // no janitor: it would outlive the measurement
		for i, key := range w.keys {
			c.SetDefault(key, w.values[i])
		}
		return filled{
			hit: func(i int) bool {
				v, ok := c.Get(w.order[i])
				return ok && v.(*value) != nil
			},
			len:   c.ItemCount,
			close: nothing,
		}
	}}
}
