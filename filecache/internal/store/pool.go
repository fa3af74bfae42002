package store

import (
	"cmp"
	"slices"
	"strings"
)

// candidate is an entry that may be evicted.
type candidate struct {
	name string
	used int64 // Unix nanoseconds
}

func (c candidate) compare(o candidate) int {
	return cmp.Or(cmp.Compare(c.used, o.used), strings.Compare(c.name, o.name))
}

// A pool keeps the least recently used of the candidates offered to it, in order.
type pool []candidate

// poolSize is the maximum number of eviction candidates.
const poolSize = 256

func (p *pool) offer(c candidate) {
	i, ok := slices.BinarySearchFunc(*p, c, candidate.compare)
	if ok || i == poolSize {
		return
	}
	if len(*p) == poolSize {
		*p = (*p)[:poolSize-1]
	}
	*p = slices.Insert(*p, i, c)
}

// take removes the least recently used candidate from the pool and returns it.
func (p *pool) take() (c candidate, ok bool) {
	if len(*p) == 0 {
		return candidate{}, false
	}
	c = (*p)[0]
	*p = slices.Delete(*p, 0, 1)
	return c, true
}
