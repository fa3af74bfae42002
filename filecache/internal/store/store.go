// Package store keeps copies of objects in a private directory: whole, verified, and
// within a budget. It knows no origin.
//
// A fault of the disk is counted in the Store's Stats and tells its breaker. The
// caller learns only that there is no copy.
package store

import (
	"sync"
	"sync/atomic"

	"github.com/warmcache/warmcache/internal/boot"
	"github.com/warmcache/warmcache/internal/cgroup"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// A Store keeps copies in a directory. It is safe for concurrent use, and several
// processes may use one directory.
type Store struct {
	layout
	faults
	raw    disk.FS // without the breaker
	clock  *clock.Clock
	boot   boots
	budget budget
	index  index
	kept   kept

	evictions, verified, diskBytes atomic.Int64
	answered                       atomic.Int64 // when the disk last did: see hang.go

	// changing keeps the order of what happens to entries. Callers that revoke a
	// flight before they lock it can rely on that flight to publish nothing after.
	changing sync.Mutex
}

// Limits are those of the disk space that a Store uses.
type Limits struct {
	MaxBytes int64 // zero means a share of the file system
	KeepFree int64 // bytes of the file system that are left to others
}

// New returns a Store in d. It does not look at the directory.
func New(d disk.FS, l Limits, c *clock.Clock) *Store {
	breaker := disk.NewBreaker(c)
	s := &Store{
		layout: layout{disk.Guarded(d, breaker)},
		faults: faults{breaker: breaker},
		raw:    d,
		clock:  c,
		boot:   boots{clock: c, read: boot.Read},
		index:  newIndex(),
	}
	s.budget = budget{max: l.MaxBytes, keep: l.KeepFree, disk: s.disk, clock: c, walk: walk{disk: s.disk}, memory: cgroup.NewMemory()}
	return s
}

// Stats are the counts of a Store.
type Stats struct {
	Evictions int64 // copies removed to make room
	Verified  int64 // copies that this process first opened, or that had changed on disk
	DiskBytes int64 // read from copies
	Faults    int64
	FaultsBy  map[string]int64 // by the name of the errno, "damaged" or "not private"
	Refused   string           // why the directory is not used
	Breaker   disk.State
	Opened    int64 // how often the Breaker was open
}

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	st := Stats{Evictions: s.evictions.Load(), Verified: s.verified.Load(), DiskBytes: s.diskBytes.Load()}
	st.Faults, st.FaultsBy, st.Refused = s.faults.stats()
	st.Breaker, st.Opened = s.breaker.State()
	return st
}

// removeEntryFile removes the file of an entry. The caller holds changing.
func (s *Store) removeEntryFile(name string) error {
	err := s.remove(entryPath(name))
	if err == nil {
		s.budget.removed(entryID(name), page)
		s.budget.addOpen(s.index.entryUnlinked(name))
	}
	return err
}

// unlink removes a data file that no entry refers to any more. It reports whether there
// is none now. The caller holds changing.
func (s *Store) unlink(data string) bool {
	removed := s.layout.unlink(data)
	if removed {
		s.unlinked(data)
	}
	return removed
}

// unlinked takes a data file that is gone from its directory out of the budget, but
// not what is still open of it.
func (s *Store) unlinked(data string) {
	s.budget.addOpen(s.index.unlinked(data))
	s.budget.removed(dataID(data), pages(sizeInName(data)))
}

// release ends the use of a copy by one File.
func (s *Store) release(u *use) {
	if freed := s.index.release(u); freed != (room{}) {
		s.budget.addOpen(room{}.minus(freed))
	}
}
