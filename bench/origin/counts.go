package origin

import "sync"

// Counts is a snapshot of what an origin was asked.
type Counts struct {
	Calls int64 // requests or statements, counted when they arrive
	Bytes int64 // body bytes in both directions: a GET has them in its answer, a PUT in its request
}

// Sub returns what was asked between the earlier snapshot and this one.
func (c Counts) Sub(earlier Counts) Counts {
	return Counts{Calls: c.Calls - earlier.Calls, Bytes: c.Bytes - earlier.Bytes}
}

func (c Counts) plus(d Counts) Counts {
	return Counts{Calls: c.Calls + d.Calls, Bytes: c.Bytes + d.Bytes}
}

// tally keeps Counts by name. One lock instead of atomics: a snapshot never shows the bytes of a call without the call.
type tally struct {
	mu     sync.Mutex
	counts map[string]Counts
}

func (t *tally) add(name string, d Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]Counts)
	}
	t.counts[name] = t.counts[name].plus(d)
}

func (t *tally) of(name string) Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts[name]
}

func (t *tally) total() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum Counts
	for _, c := range t.counts {
		sum = sum.plus(c)
	}
	return sum
}
