package store

import (
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// The rest of this file is for the tests of package filecache.

// TestErrEntry is errEntry.
var TestErrEntry = errEntry

// TestRescanAfter is how long the sum of the used room is trusted.
const TestRescanAfter = rescanAfter

// TestMaxKnown is the maximum number of known copies.
const TestMaxKnown = maxKnown

// TestMaxSmall is the size up to which a copy is one file.
const TestMaxSmall = maxSmall

// TestRoom returns the room of a copy of size bytes.
func TestRoom(size int64) int64 { return roomFor(size).bytes }

// TestDataName returns a name for a data file of an entry.
func TestDataName(entry string, size int64, random uint64) string {
	return dataName(entry, size, random)
}

// A TestUsage is the room that a Store has counted, and its number of open data files.
type TestUsage struct {
	Max, Used, Open, Reserved, Written int64
	Files                              int
	Inodes                             int64
}

// TestUsage returns the current usage.
func (s *Store) TestUsage() TestUsage {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	b := &s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	used := b.known.room()
	return TestUsage{b.max, used.bytes, b.open.bytes, b.reserved.bytes, b.written, len(s.index.inUse) + len(s.index.trees), used.files}
}

// TestUnreserve returns the room reserved for size bytes.
func (s *Store) TestUnreserve(size int64) { s.budget.unreserve(roomFor(size)) }

// TestReserve reserves room for size bytes.
func (s *Store) TestReserve(size int64) bool { return s.reserve(roomFor(size)) }

// TestBoot replaces the function that reads the boot's clock.
func (s *Store) TestBoot(read func() ([16]byte, int64)) { s.boot.read = read }

// TestWrap wraps the disk.
func (s *Store) TestWrap(wrap func(disk.FS) disk.FS) {
	s.disk = wrap(s.disk)
	s.budget.disk, s.budget.walk.disk = s.disk, s.disk
}

// TestLocks opens the lock file.
func (s *Store) TestLocks() (disk.Locks, error) { return s.openLocks() }

// TestLockByte returns the offset of k's lock.
func TestLockByte(k Key) int64 { return k.lockByte() }

// TestEntryLocks is the offset of the entries' locks.
const TestEntryLocks = int64(entryLocks)

// TestLockEntry locks k's entry as another process would.
func (s *Store) TestLockEntry(k Key) (release func()) { return s.lockEntry(k.entryName()).Release }

// TestSweep walks the directory twice and removes all litter. It returns the number of
// copies, and how many of them are one file.
func (s *Store) TestSweep() (copies, inline int) {
	for range 2 {
		b := &s.budget
		b.mu.Lock()
		b.round = nil
		b.walk.stop()
		b.walk.at = 0
		for n := b.rounds; b.rounds == n; {
			if err := b.step(1); err != nil {
				s.fault(err)
				break
			}
		}
		b.mu.Unlock()
		s.removeLitter(maxLitter)
	}
	s.forEach(entryDir, func(name string) error {
		if e, _, err := s.read(name); err == nil {
			copies++
			inline += int(flag(e.inline))
		}
		return nil
	})
	return copies, inline
}

// TestEvict evicts the copy of k, and reports whether it did.
func (s *Store) TestEvict(k Key) bool {
	v, err := s.victim(candidate{name: k.entryName(), used: s.clock.Now().Wall})
	return err == nil && s.evictOne(v) == nil
}

// TestFailures returns the breaker's number of consecutive failures.
func (s *Store) TestFailures() int { return s.breaker.Failures() }

// TestEntry describes an entry on disk.
type TestEntry struct {
	Key       Key
	ETag      string
	Data      string
	Inline    bool
	Algorithm byte
	Sum       []byte
}

// TestRead returns the entry called name.
func (s *Store) TestRead(name string) (TestEntry, error) {
	e, _, err := s.read(name)
	if err != nil {
		return TestEntry{}, err
	}
	return TestEntry{e.key, e.etag, e.data, e.inline, e.algorithm, e.sum}, nil
}

// TestEntryName returns the name of k's entry.
func TestEntryName(k Key) string { return k.entryName() }

// TestForge returns a Copy with the given name of its data file. If write is set, it also
// writes the entry to disk.
func (s *Store) TestForge(m Meta, data string, sum *blocks.Digest, at clock.Instant, write bool) (*Copy, error) {
	e := &entry{
		key: m.Key, etag: m.ETag, modified: m.Modified, size: m.Size,
		whole: sum.Whole(), blockSize: sum.BlockSize, crcs: sum.Blocks, data: data,
	}
	s.boot.record(e, at)
	if write {
		f, err := s.build(e, nil)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return nil, s.replace(f, m.Key.entryName())
	}
	return &Copy{entry: e}, nil
}

// TestUnknow drops the copy of k from memory.
func (s *Store) TestUnknow(k Key) {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	delete(s.index.known, k)
}

// TestKnown returns the number of known copies.
func (s *Store) TestKnown() int {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return len(s.index.known)
}

// TestRemember makes a copy of k known.
func (s *Store) TestRemember(k Key) { s.index.remember(&Copy{entry: &entry{key: k}}) }

// TestKnow makes c the known copy of its object.
func (s *Store) TestKnow(c *Copy) {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	s.index.known[c.key] = c
}

// TestSwap replaces old by a copy, if old is the known one.
func (s *Store) TestSwap(old, c *Copy) { s.index.swap(old, c) }

// TestVerified reports whether block i is recorded as verified.
func (c *Copy) TestVerified(i int) bool { return c.checked.Has(i) }

// TestData returns the name of the data file.
func (c *Copy) TestData() string { return c.data }

// TestTouched returns when the use of c was last recorded on disk.
func (c *Copy) TestTouched() time.Time { return time.Unix(0, c.touched) }
