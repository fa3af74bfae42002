package store

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// A Draft is a copy under construction. Its parts may be written at the same time.
type Draft struct {
	store *Store
	file  disk.NewFile // nil as long as the bytes are in small
	small []byte
	size  int64
	grows bool // size is not known yet

	mu       sync.Mutex
	done     int64 // nothing is written from here on
	written  int64 // what the file system has given of what is reserved
	reserved room
}

// UnknownSize is the size of an object whose length is known only at its end.
const UnknownSize = -1

// errNoRoom is the error of a Draft that grows beyond what there is.
var errNoRoom = errors.New("there is no room for more")

// Create returns a Draft for an object of size bytes, for which it reserves room, by
// eviction if it must. It returns nil if there is no room or no usable disk. If size is
// UnknownSize, room is reserved as the Draft grows; its bytes are written in order, and
// End tells their number before Publish.
func (s *Store) Create(size int64) *Draft {
	d := &Draft{store: s, size: max(0, size), grows: size < 0}
	if !d.reserve(roomFor(d.size)) {
		return nil
	}
	if isSmall(d.size) {
		d.small = make([]byte, 0, d.size)
		return d
	}
	if err := d.createFile(); err != nil {
		d.release()
		s.fault(err)
		return nil
	}
	return d
}

func (d *Draft) reserve(r room) bool {
	if !d.store.reserve(r) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserved = d.reserved.plus(r)
	return true
}

// createFile makes the file for the bytes.
func (d *Draft) createFile() error {
	size := d.size
	if d.grows {
		size = 0
	}
	f, err := d.store.create(dataDir, size)
	if d.store.madeRoom(err, roomForTwo(size)) {
		f, err = d.store.create(dataDir, size)
	}
	if err != nil {
		return err
	}
	d.file = f
	if f.Allocated() {
		d.wrote(size)
	}
	return nil
}

// WriteAt writes the bytes from off on.
func (d *Draft) WriteAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if d.grows && !d.grow(end) {
		return 0, errNoRoom
	}
	if d.file == nil && isSmall(end) {
		return d.writeSmall(p, off), nil
	}
	if d.file == nil {
		if err := d.spill(); err != nil {
			d.store.fault(err)
			return 0, err
		}
	}
	n, err := d.file.WriteAt(p, off)
	if n < len(p) && d.store.madeRoom(err, roomFor(d.size)) {
		var m int
		m, err = d.file.WriteAt(p[n:], off+int64(n))
		n += m
	}
	if err != nil || n < len(p) {
		err = cmp.Or(err, io.ErrShortWrite)
		d.store.fault(err)
		return n, err
	}
	d.filled(int64(n), off+int64(n))
	return n, nil
}

// writeSmall writes into small. There is one writer.
func (d *Draft) writeSmall(p []byte, off int64) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	end := off + int64(len(p))
	if n := end - int64(len(d.small)); n > 0 {
		d.small = append(d.small, make([]byte, n)...)
	}
	d.done = max(d.done, end)
	return copy(d.small[off:], p)
}

// spill moves what is in small into a file, for there is more to come.
func (d *Draft) spill() error {
	if err := d.createFile(); err != nil {
		return err
	}
	small := d.small
	if n, err := d.WriteAt(small, 0); n < len(small) {
		d.file.Close()
		d.file = nil
		return err
	}
	d.small = nil
	return nil
}

// A Draft grows by what it has, within these bounds.
const leastGrowth, mostGrowth = 1 << 20, 16 << 20

// grow reserves room for size bytes in all.
func (d *Draft) grow(size int64) bool {
	for d.size < size {
		n := min(max(d.size, leastGrowth), mostGrowth)
		if !d.reserve(roomFor(n)) {
			return false
		}
		d.size += n
	}
	return true
}

// End ends the growth of d, which has size bytes.
func (d *Draft) End(size int64) { d.size, d.grows = size, false }

// filled notes that n bytes up to end are in the file.
func (d *Draft) filled(n, end int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = max(d.done, end)
	if d.grows || !d.file.Allocated() {
		d.wrote(n)
	}
}

// wrote notes that the file system has given n bytes more.
func (d *Draft) wrote(n int64) {
	d.written += n
	d.store.budget.wrote(n)
}

// Written returns where the bytes end that have been written so far.
func (d *Draft) Written() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

// ReadBack fills p with what has been written so far, and reports whether the disk
// gave it back. Between parts, p is undefined. Nobody may write at the same time.
func (d *Draft) ReadBack(p []byte) bool {
	if d.file == nil {
		return copy(p, d.small) == len(d.small)
	}
	n, _ := d.file.ReadAt(p[:d.done], 0)
	return int64(n) >= d.done
}

// Publish makes the Draft the copy of its object, and returns it. The error is
// ErrRevoked if revoked reports true; else it is one of the disk, which is counted.
func (d *Draft) Publish(m Meta, sum *blocks.Digest, v Validation, revoked func() bool) (*Copy, error) {
	s := d.store
	e := &entry{
		key: m.Key, etag: m.ETag, modified: m.Modified, size: m.Size,
		algorithm: m.Algorithm, sum: m.Sum,
		whole: sum.Whole(), blockSize: sum.BlockSize, crcs: sum.Blocks,
		inline: d.file == nil,
	}
	e.data = newDataName(e)
	s.boot.record(e, v.At)
	c := &Copy{entry: e, Validation: v, fetched: true, touched: s.clock.Now().Wall}
	err := s.publish(d, e, func() error {
		if revoked() {
			return ErrRevoked
		}
		return nil
	}, func(id disk.FileID) {
		c.fileID = id
		s.index.remember(c)
	})
	switch {
	case err == nil:
		return c, nil
	case err != ErrRevoked:
		s.fault(err)
	}
	return nil, err
}

// release gives back what is reserved.
func (d *Draft) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.store.budget.wrote(-d.written)
	d.store.budget.unreserve(d.reserved)
	d.written, d.reserved = 0, room{}
}

// Close ends the Draft. If it was not published, it leaves nothing.
func (d *Draft) Close() {
	d.release()
	if d.file != nil {
		d.file.Close()
	}
}

// Meta is what the origin said of the bytes of a copy.
type Meta struct {
	Key       Key
	ETag      string
	Size      int64
	Modified  int64  // Unix nanoseconds, or Unknown
	Algorithm byte   // of Sum; zero: there is none
	Sum       []byte // the origin's checksum that the bytes were verified by
}

// Unknown is the modification time of an object whose origin does not tell it.
const Unknown = unknownTime

// publish makes the draft the copy that e describes, and calls remember, unless check
// returns an error. Killed between the names of a data file and of its entry, the process
// leaves a file that a later walk removes.
func (s *Store) publish(d *Draft, e *entry, check func() error, remember func(disk.FileID)) error {
	f, err := s.buildWithRoom(e, d.small)
	if err != nil {
		return err
	}
	defer f.Close()

	if e.inline {
		err := s.publishFirst(d, f, e, check, remember)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	name := entryOf(e.data)
	defer s.lockEntry(name).Release()
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := check(); err != nil {
		return err
	}
	if !e.inline {
		if err := d.file.Publish(e.data); err != nil {
			return err
		}
	}
	old, err := s.add(f, name)
	if err != nil {
		if !e.inline {
			s.layout.unlink(e.data)
		}
		return err
	}
	s.published(d, f, e, old, remember)
	return nil
}

// publishFirst is publish of an inline copy where there is none yet. It needs no lock: no
// other process has an entry to compare, and the link is atomic. If there is a copy, the
// error matches fs.ErrExist.
func (s *Store) publishFirst(d *Draft, f disk.NewFile, e *entry, check func() error, remember func(disk.FileID)) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := check()
	if err == nil {
		err = f.Publish(entryOf(e.data))
	}
	if err == nil {
		s.published(d, f, e, nil, remember)
	}
	return err
}

// published notes that f is the entry e now, in the place of old if that is not nil.
func (s *Store) published(d *Draft, f disk.NewFile, e, old *entry, remember func(disk.FileID)) {
	name := entryOf(e.data)
	s.budget.addOpen(s.index.entryUnlinked(name))
	s.budget.count(entryID(name), pages(e.fileSize()))
	if !e.inline {
		s.budget.use(e.data, e.size)
	}
	d.release()
	if old != nil && !old.inline && old.data != e.data {
		s.unlink(old.data)
	}
	var id disk.FileID
	if e.inline {
		id, _ = f.ID() // a zero one makes the first Open read the entry
	}
	remember(id)
}

// Keep keeps d, for which the origin was asked at that time, and what the caller needs
// to go on with it. Nobody may write to d until Resume returns it.
func (s *Store) Keep(k Key, d *Draft, state any, asked clock.Instant) {
	s.kept.drop(k)
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
		s.kept.dropLocked(0, 1)
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
	return d.draft.(*Draft), d.state
}
