package origin

import "sync"

// Counts is a snapshot of an origin's calls.
type Counts struct {
	Calls int64 // requests or statements, counted when they arrive
	Bytes int64 // of bodies, in both directions
}

// Sub returns the calls between the earlier snapshot and this one.
func (c Counts) Sub(earlier Counts) Counts {
	return Counts{Calls: c.Calls - earlier.Calls, Bytes: c.Bytes - earlier.Bytes}
}

// Add returns the sum.
func (c Counts) Add(d Counts) Counts {
	return Counts{Calls: c.Calls + d.Calls, Bytes: c.Bytes + d.Bytes}
}

// tally has one lock instead of two atomics, so that no snapshot has the bytes of a call without the call.
type tally struct {
	mu     sync.Mutex
	counts Counts
}

func (t *tally) add(d Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts = t.counts.Add(d)
}

// Counts returns the calls so far.
func (t *tally) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}
