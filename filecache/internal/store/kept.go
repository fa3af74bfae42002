package store

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// kept are the Drafts of interrupted downloads. They hold their room until somebody
// needs it, or until they are old: any call of the Store that looks for a copy then
// drops them.
type kept struct {
	some   atomic.Bool // there is one
	mu     sync.Mutex
	drafts []keptDraft // the oldest first
}

type keptDraft struct {
	key   Key
	draft interface{ Close() } // a *Draft, which this file need not know
	state any
	since clock.Instant
}

const (
	// keepFor is how long a Draft is kept: for the next invocations of a function that
	// is in use.
	keepFor = 5 * time.Minute
	// maxKept bounds the file descriptors.
	maxKept = 8
)

func (x *kept) index(k Key) int {
	return slices.IndexFunc(x.drafts, func(d keptDraft) bool { return d.key == k })
}

// drop drops the Draft that was kept for k.
func (x *kept) drop(k Key) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if i := x.index(k); i >= 0 {
		x.dropLocked(i, i+1)
	}
}

// dropAll drops all Drafts that were kept, and reports whether there were any.
func (x *kept) dropAll() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.drafts)
	x.dropLocked(0, n)
	return n > 0
}

// dropOld drops those that were kept for too long at now.
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

// dropLocked drops the Drafts from i to before j. The caller holds mu.
func (x *kept) dropLocked(i, j int) {
	for _, d := range x.drafts[i:j] {
		d.draft.Close()
	}
	x.drafts = slices.Delete(x.drafts, i, j)
	x.some.Store(len(x.drafts) > 0)
}
