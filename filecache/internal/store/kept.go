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
	draft *Draft
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

// Keep keeps d, for which the origin was asked at that time, and what the caller needs
// to go on with it. Nobody may write to d until Resume returns it.
func (s *Store) Keep(k Key, d *Draft, state any, asked clock.Instant) {
	s.dropDraft(k)
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	s.index.mu.Lock()
	invalidated := s.index.invalidated.since(k, asked)
	s.index.mu.Unlock()
	if invalidated {
		d.Close()
		return
	}
	if len(s.kept.drafts) == maxKept {
		s.dropLocked(0, 1)
	}
	s.kept.drafts = append(s.kept.drafts, keptDraft{k, d, state, s.clock.Now()})
	s.kept.some.Store(true)
}

// Resume returns the Draft that was kept for k and its state, or nil. It is the
// caller's again.
func (s *Store) Resume(k Key) (*Draft, any) {
	if !s.kept.some.Load() {
		return nil, nil
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	i := s.kept.index(k)
	if i < 0 {
		return nil, nil
	}
	d := s.kept.drafts[i]
	s.kept.drafts = slices.Delete(s.kept.drafts, i, i+1)
	s.kept.some.Store(len(s.kept.drafts) > 0)
	return d.draft, d.state
}

func (x *kept) index(k Key) int {
	return slices.IndexFunc(x.drafts, func(d keptDraft) bool { return d.key == k })
}

// dropDraft drops the Draft that was kept for k.
func (s *Store) dropDraft(k Key) {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	if i := s.kept.index(k); i >= 0 {
		s.dropLocked(i, i+1)
	}
}

// dropDrafts drops all Drafts that were kept, and reports whether there were any.
func (s *Store) dropDrafts() bool {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	n := len(s.kept.drafts)
	s.dropLocked(0, n)
	return n > 0
}

// dropOldDrafts drops those that were kept for too long.
func (s *Store) dropOldDrafts() {
	if !s.kept.some.Load() {
		return
	}
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	now := s.clock.Now()
	old := 0
	for old < len(s.kept.drafts) && !s.kept.drafts[old].since.Within(keepFor, now) {
		old++
	}
	s.dropLocked(0, old)
}

// dropLocked drops the Drafts from i to before j. The caller holds kept.mu.
func (s *Store) dropLocked(i, j int) {
	for _, d := range s.kept.drafts[i:j] {
		d.draft.Close()
	}
	s.kept.drafts = slices.Delete(s.kept.drafts, i, j)
	s.kept.some.Store(len(s.kept.drafts) > 0)
}
