package store

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// kept holds the Drafts of interrupted downloads. They keep their room until it is
// needed, or until they are too old. Any call of the Store that looks up a copy closes
// old ones.
type kept struct {
	some   atomic.Bool // whether there are any
	mu     sync.Mutex
	drafts []keptDraft // oldest first
}

type keptDraft struct {
	key   Key
	draft interface{ Close() } // a *Draft, but this file depends on Close alone
	state any
	since clock.Instant
}

const (
	// keepFor is how long a Draft is kept. It covers the next invocations of an active
	// function.
	keepFor = 5 * time.Minute
	// maxKept bounds the number of open files.
	maxKept = 8
)

func (x *kept) index(k Key) int {
	return slices.IndexFunc(x.drafts, func(d keptDraft) bool { return d.key == k })
}

// drop closes the Draft kept for k.
func (x *kept) drop(k Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i := x.index(k); i >= 0 {
		x.dropLocked(i, i+1)
	}
}

// dropAll closes all kept Drafts, and reports whether there were any.
func (x *kept) dropAll() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.drafts)
	x.dropLocked(0, n)
	return n > 0
}

// dropOld closes the Drafts that are too old at now.
func (x *kept) dropOld(now func() clock.Instant) {
	if !x.some.Load() {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	at, old := now(), 0
	for old < len(x.drafts) && !x.drafts[old].since.Within(keepFor, at) {
		old++
	}
	x.dropLocked(0, old)
}

// dropLocked closes the Drafts from i to before j. The caller holds mu.
func (x *kept) dropLocked(i, j int) {
	for _, d := range x.drafts[i:j] {
		d.draft.Close()
	}
	x.drafts = slices.Delete(x.drafts, i, j)
	x.some.Store(len(x.drafts) > 0)
}
