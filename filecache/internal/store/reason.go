package store

import "errors"

// Reason is why there is no copy to use.
type Reason uint8

// The reasons that a Store knows.
const (
	Absent      Reason = iota // there was none
	Evicted                   // this process has removed it to make room
	Invalidated               // this process has removed it because of Invalidate
	Damaged                   // it is damaged, or part of it is missing
	NoDisk                    // the disk failed, or is not used after failures
)

// Reason returns why there is no copy of k, if err is why none could be found or
// opened.
func (s *Store) Reason(k Key, err error) Reason {
	switch {
	case errors.Is(err, errEntry), errors.Is(err, ErrDamaged):
		return Damaged
	case ignoreNotExist(err) != nil:
		return NoDisk
	}
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return s.index.reasons[k] // Absent if it is not known
}

// because remembers why this process has removed a copy, until it has another.
// The memory for that is bounded.
func (x *index) because(k Key, why Reason) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.becauseLocked(k, why)
}

func (x *index) becauseLocked(k Key, why Reason) {
	if len(x.reasons) >= maxKnown {
		clear(x.reasons)
	}
	x.reasons[k] = why
}
