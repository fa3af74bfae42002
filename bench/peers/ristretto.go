package main

import "github.com/dgraph-io/ristretto/v2"

func ristrettoCache() peer {
	return peer{
		name: "ristretto",
		note: "10 counters per entry, as its documentation advises; keeps hashes of keys, not keys",
		fill: fillRistretto,
		toy: toy{imports: []string{"time", "github.com/dgraph-io/ristretto/v2"}, body: `
	c, err := ristretto.NewCache(&ristretto.Config[string, *int]{NumCounters: 10000, MaxCost: 1000, BufferItems: 64})
	if err != nil {
		panic(err)
	}
	c.SetWithTTL("key", new(int), 1, time.Hour)
	c.Get("key")`},
	}
}

func fillRistretto(w *workload) filled {
	n := int64(len(w.keys))
	c := must(ristretto.NewCache(&ristretto.Config[string, *value]{
		NumCounters: 10 * n, MaxCost: n, BufferItems: 64, IgnoreInternalCost: true,
	}))
	for i, key := range w.keys {
		c.SetWithTTL(key, w.values[i], 1, ttl)
		if i%1000 == 0 {
			c.Wait() // it drops what its queue has no room for
		}
	}
	c.Wait()
	return filled{
		hit: func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if _, ok := c.Get(key); ok {
					found++
				}
			}
			return found
		},
		len:   func() int { return int(c.MaxCost() - c.RemainingCost()) },
		close: c.Close,
	}
}
