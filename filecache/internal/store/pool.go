package store

import (
	"cmp"
	"slices"
	"strings"
)

// candidate is an entry as eviction sees it.
type candidate struct {
	name string
	used int64 // Unix nanoseconds
}

func (c candidate) compare(o candidate) int {
	return cmp.Or(cmp.Compare(c.used, o.used), strings.Compare(c.name, o.name))
}

// A pool keeps the least recently used of the entries that it was offered, in order.
type pool []candidate

// poolSize is how many candidates for eviction are remembered.
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

// take returns the least recently used, and removes it from the pool.
func (p *pool) take() (c candidate, ok bool) {
	if len(*p) == 0 {
		return candidate{}, false
	}
	c = (*p)[0]
	*p = slices.Delete(*p, 0, 1)
	return c, true
}
