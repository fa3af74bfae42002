package store

import (
	"cmp"
	"slices"
	"strings"

	"github.com/warmcache/warmcache/internal/disk"
)

// candidate is an entry that may be evicted.
type candidate struct {
	name   string
	used   int64 // Unix nanoseconds
	inline int64 // bytes on disk if its file seems to have the object's bytes; else zero
}

func newCandidate(name string, info disk.Info) candidate {
	c := candidate{name: name, used: info.ModTime.UnixNano()}
	if !mayReferTo(info) {
		c.inline = pages(info.Size)
	}
	return c
}

func (c candidate) compare(o candidate) int {
	if c.used != o.used {
		return cmp.Compare(c.used, o.used)
	}
	return strings.Compare(c.name, o.name)
}

// A pool keeps the least recently used of the candidates offered to it, the oldest last.
type pool []candidate

// poolSize is the maximum number of eviction candidates.
const poolSize = 256

func (p *pool) offer(c candidate) {
	i, ok := slices.BinarySearchFunc(*p, c, func(a, b candidate) int { return b.compare(a) })
	switch {
	case ok:
	case len(*p) < poolSize:
		*p = slices.Insert(*p, i, c)
	case i > 0: // drop the newest
		copy(*p, (*p)[1:i])
		(*p)[i-1] = c
	}
}

// take removes the least recently used candidate from the pool and returns it.
func (p *pool) take() (c candidate, ok bool) {
	last := len(*p) - 1
	if last < 0 {
		return candidate{}, false
	}
	c, (*p)[last] = (*p)[last], candidate{}
	*p = (*p)[:last]
	return c, true
}

// mayTake reports whether the pool needs an entry that was used at t or later: it is among
// the older half of those it can keep, or the pool is less than half full.
func (p pool) mayTake(t tick) bool {
	newer := len(p) - 1 - poolSize/2
	return newer < 0 || !t.after(tickOf(p[newer].used))
}
