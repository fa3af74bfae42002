package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// A Draft is a copy under construction. Its parts may be written concurrently.
type Draft struct {
	store *Store
	file  disk.NewFile // nil while the bytes are in small
	size  int64
	grows bool // the size is unknown

	mu       sync.Mutex
	small    []byte
	pooled   *[maxSmall]byte // small's array, if it is from smallBuffers
	closed   bool            // small has been released
	done     int64           // end of the bytes written so far
	written  int64           // the part of reserved that the file system has allocated
	reserved room
}

// UnknownSize is the size of an object whose length is known only at its end.
const UnknownSize = -1

// errNoRoom means that there is no room for a Draft to grow.
var errNoRoom = errors.New("there is no room for more")

// Create returns a Draft for an object of size bytes and reserves its room, evicting
// copies if it must. It returns nil if there is no room or no usable disk. If size is
// UnknownSize, it reserves room as the Draft grows. The bytes must then be written in
// order, and End must be called before Publish.
func (s *Store) Create(size int64) *Draft {
	d := &Draft{store: s, size: max(0, size), grows: size < 0}
	if !d.reserve(roomFor(d.size)) {
		return nil
	}
	if isSmall(d.size) {
		d.makeSmall()
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

// createFile makes the data file.
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

// WriteAt writes p at off.
func (d *Draft) WriteAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	if d.grows && !d.grow(end) {
		return 0, errNoRoom
	}
	if d.file == nil && isSmall(end) {
		return d.writeSmall(p, off)
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

// smallBuffers saves clearing a new array for each object, and garbage collections.
var smallBuffers = sync.Pool{New: func() any { return new([maxSmall]byte) }}

// makeSmall makes the buffer. An object that would leave most of a shared one unused has
// its own: a thousand at once would take 64 MiB.
func (d *Draft) makeSmall() {
	if d.size <= maxSmall/4 {
		d.small = make([]byte, 0, d.size)
		return
	}
	d.pooled = smallBuffers.Get().(*[maxSmall]byte)
	d.small = d.pooled[:0]
}

// dropSmall releases the buffer.
func (d *Draft) dropSmall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pooled != nil {
		smallBuffers.Put(d.pooled)
	}
	d.small, d.pooled, d.closed = nil, nil, true
}

// writeSmall writes to small. There is one writer. After Close, it is an error, as it is
// with a file.
func (d *Draft) writeSmall(p []byte, off int64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, fs.ErrClosed
	}
	end := off + int64(len(p))
	if n := end - int64(len(d.small)); n > 0 {
		d.small = slices.Grow(d.small, int(n))[:end]
	}
	d.done = max(d.done, end)
	return copy(d.small[off:], p), nil
}

// spill moves the bytes in small into a file, because more follow.
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
	d.dropSmall()
	return nil
}

// A Draft doubles its reserved room as it grows, within these bounds.
const leastGrowth, mostGrowth = 1 << 20, 16 << 20

// grow reserves room until it suffices for size bytes.
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

// End sets the final size of d.
func (d *Draft) End(size int64) { d.size, d.grows = size, false }

// filled records that n bytes up to end are in the file.
func (d *Draft) filled(n, end int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = max(d.done, end)
	if d.grows || !d.file.Allocated() {
		d.wrote(n)
	}
}

// wrote records that the file system has allocated n more bytes.
func (d *Draft) wrote(n int64) {
	d.written += n
	d.store.budget.wrote(n)
}

// Written returns the end of the bytes written so far.
func (d *Draft) Written() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

// ReadBack fills p with the bytes written so far, and reports whether the disk returned
// them. Gaps between parts are undefined. It must not run concurrently with a write.
func (d *Draft) ReadBack(p []byte) bool {
	if d.file == nil {
		return copy(p, d.small) == len(d.small)
	}
	n, _ := d.file.ReadAt(p[:d.done], 0)
	return int64(n) >= d.done
}

// Publish makes the Draft the copy of its object and returns the copy. If revoked reports
// true, the error is ErrRevoked. Any other error is a disk failure, and is counted.
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
	case err != ErrRevoked && err != errOrphaned:
		s.fault(err)
	}
	return nil, err
}

// release returns the reserved room.
func (d *Draft) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.store.budget.wrote(-d.written)
	d.store.budget.unreserve(d.reserved)
	d.written, d.reserved = 0, room{}
}

// Close ends the Draft. A Draft that was not published leaves nothing behind.
func (d *Draft) Close() {
	d.release()
	d.dropSmall()
	if d.file != nil {
		d.file.Close()
	}
}

// Meta is the origin's description of the object.
type Meta struct {
	Key       Key
	ETag      string
	Size      int64
	Modified  int64  // Unix nanoseconds, or Unknown
	Algorithm byte   // of Sum; zero means none
	Sum       []byte // the origin's checksum, which the bytes match
}

// Unknown is the Modified time if the origin does not send one.
const Unknown = unknownTime

// publish makes the draft the copy that e describes, and then calls remember. If check
// fails, it returns that error. A process killed between publishing the data file and the
// entry leaves a file that a later walk removes.
func (s *Store) publish(d *Draft, e *entry, check func() error, remember func(disk.FileID)) error {
	f, err := s.buildWithRoom(e, d.small)
	if err != nil {
		return err
	}
	defer f.Close()

	if e.inline {
		first := func() error { return s.publishFirst(d, f, e, check, remember) }
		if err := s.inRoom(first); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	name := entryOf(e.data)
	lock := s.lockEntry(name)
	defer lock.Release()
	linked := false
	err = s.inRoom(func() error {
		s.changing.Lock()
		defer s.changing.Unlock()
		if err := check(); err != nil {
			return err
		}
		if !e.inline && !linked {
			if err := d.file.Publish(e.data); err != nil {
				return err
			}
			linked = true
		}
		old, err := s.add(f, name)
		if err == nil && lock.late {
			old = nil // the lock's holder may refer to its data again; a later walk removes it
			err = s.keepIfComplete(e)
		}
		if err == nil {
			s.published(d, f, e, old, remember)
		}
		return err
	})
	if err != nil && linked {
		s.changing.Lock()
		defer s.changing.Unlock()
		s.layout.unlink(e.data)
	}
	return err
}

// errOrphaned means that another process has removed the data as an orphan, before the
// entry was added.
var errOrphaned = fmt.Errorf("the data file was removed as an orphan: %w", fs.ErrNotExist)

// keepIfComplete removes the entry e, which was added under a late lock, if another
// process has removed its data as an orphan. A process that removes the data later also
// removes the entry: see removeOrphan.
func (s *Store) keepIfComplete(e *entry) error {
	if e.inline {
		return nil
	}
	if _, err := s.disk.Lstat(dataPath(e.data)); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	s.removeEntryOf(e.data)
	return errOrphaned
}

// removeEntryOf removes the entry that refers to a removed data file, if there is one. The
// caller holds changing.
func (s *Store) removeEntryOf(data string) {
	if e, _, err := s.read(entryOf(data)); err == nil && e.refersTo(data) {
		s.fault(s.removeEntryFile(entryOf(data)))
	}
}

// inRoom calls add, which adds names to directories. If the file system is full and
// eviction makes room, it calls add again.
func (s *Store) inRoom(add func() error) error {
	err := add()
	if s.madeRoom(err, room{page, 1}) {
		err = add()
	}
	return err
}

// publishFirst publishes an inline copy that has no predecessor. It needs no lock: there
// is no entry to compare with, and the link is atomic. If there is a copy, the error
// matches fs.ErrExist.
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

// published records that f is now the file of e, and has replaced old if that is not nil.
func (s *Store) published(d *Draft, f disk.NewFile, e, old *entry, remember func(disk.FileID)) {
	name := entryOf(e.data)
	s.budget.addOpen(s.index.entryUnlinked(name))
	s.budget.useEntry(name, e.fileSize())
	if !e.inline {
		s.budget.use(e.data, e.size)
	}
	d.release()
	if old != nil && !old.inline && old.data != e.data {
		s.unlink(old.data)
	}
	var id disk.FileID
	if e.inline {
		id, _ = f.ID() // a zero ID makes the first Open read the entry
	}
	remember(id)
}

// Keep keeps the Draft of an interrupted download, which was requested at requestedAt, with
// the caller's state to resume it. The caller must not write to d until Resume returns it.
func (s *Store) Keep(k Key, d *Draft, state any, requestedAt clock.Instant) {
	s.kept.drop(k)
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	s.index.mu.Lock()
	invalidated := s.index.invalidated.since(k, requestedAt)
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

// Resume returns the Draft kept for k and its state, or nil. The caller owns it again.
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
