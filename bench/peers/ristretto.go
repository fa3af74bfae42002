package main

import "github.com/dgraph-io/ristretto/v2"

func ristrettoCache() peer {
	return peer{
		name: "ristretto",
		note: "10 counters per entry, as its documentation advises; keeps hashes of keys, not keys",
		fill: func(w *workload) filled {
			n := int64(len(w.keys))
			c := must(ristretto.NewCache(&ristretto.Config[string, *value]{
				NumCounters: 10 * n, MaxCost: n, BufferItems: 64, IgnoreInternalCost: true,
			}))
			for i, key := range w.keys {
				c.SetWithTTL(key, w.values[i], 1, ttl)
				if i%1000 == 0 {
					c.Wait() // a full queue drops writes
				}
			}
			c.Wait()
			return filled{
				hit:   func(i int) bool { _, ok := c.Get(w.order[i]); return ok },
				len:   func() int { return int(c.MaxCost() - c.RemainingCost()) },
				close: c.Close,
			}
		},
	}
}
