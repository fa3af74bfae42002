package main

import gocache "github.com/patrickmn/go-cache"

func goCache() peer {
	return peer{
		name: "go-cache",
		note: "patrickmn; unbounded, no LRU; wall clock only",
		fill: fillGoCache,
		toy: toy{imports: []string{"time", "github.com/patrickmn/go-cache"}, body: `
	c := cache.New(time.Hour, 0)
	c.SetDefault("key", new(int))
	c.Get("key")`},
	}
}

func fillGoCache(w *workload) filled {
	c := gocache.New(ttl, 0) // no janitor: it would outlive the measurement
	for i, key := range w.keys {
		c.SetDefault(key, w.values[i])
	}
	return filled{
		hit: func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if v, ok := c.Get(key); ok && v.(*value) != nil {
					found++
				}
			}
			return found
		},
		len:   c.ItemCount,
		close: nothing,
	}
}
