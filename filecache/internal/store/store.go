// Package store keeps verified copies of whole objects in a private directory, within a
// budget. It does not contact origins.
//
// A disk failure is counted in Stats and reported to the breaker. The caller sees only a
// miss.
package store

import (
	"sync"
	"sync/atomic"

	"github.com/warmcache/warmcache/internal/boot"
	"github.com/warmcache/warmcache/internal/cgroup"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// A Store keeps copies in a directory. It is safe for concurrent use. Several processes
// may share the directory.
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
	answered                       atomic.Int64 // of the disk's last answer: see hang.go

	// changing serializes changes of entries. A caller that revokes a flight and then
	// locks changing knows that the flight publishes nothing afterwards.
	changing sync.Mutex
}

// Limits bound the disk space of a Store.
type Limits struct {
	MaxBytes int64 // zero means a share of the file system
	KeepFree int64 // bytes of the file system to leave free
}

// New returns a Store in d. It does not access the directory.
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

// Stats are the counters of a Store.
type Stats struct {
	Evictions int64 // copies removed to make room
	Verified  int64 // copies verified: opened for the first time by this process, or changed on disk since
	DiskBytes int64 // read from copies
	Faults    int64
	FaultsBy  map[string]int64 // by errno name, "damaged" or "not private"
	Refused   string           // why the directory is not used
	Breaker   disk.State
	Opened    int64 // how often the Breaker has opened
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	st := Stats{Evictions: s.evictions.Load(), Verified: s.verified.Load(), DiskBytes: s.diskBytes.Load()}
	st.Faults, st.FaultsBy, st.Refused = s.faults.stats()
	st.Breaker, st.Opened = s.breaker.State()
	return st
}

// removeEntryFile removes an entry's file. The caller holds changing.
func (s *Store) removeEntryFile(name string) error {
	err := s.remove(entryPath(name))
	if err == nil {
		s.budget.removed(entryID(name), page)
		s.budget.addOpen(s.index.entryUnlinked(name))
	}
	return err
}

// unlink removes a data file that no entry refers to. It reports whether the file no
// longer exists. The caller holds changing.
func (s *Store) unlink(data string) bool {
	removed := s.layout.unlink(data)
	if removed {
		s.unlinked(data)
	}
	return removed
}

// unlinked subtracts a removed data file from the budget. The room of a file that is
// still open stays counted.
func (s *Store) unlinked(data string) {
	s.budget.addOpen(s.index.unlinked(data))
	s.budget.removed(dataID(data), pages(sizeInName(data)))
}

// release ends a File's use of a copy.
func (s *Store) release(u *use) {
	if freed := s.index.release(u); freed != (room{}) {
		s.budget.addOpen(room{}.minus(freed))
	}
}
