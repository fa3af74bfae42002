package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// A File is a copy open for reading. Each block is verified before a byte of it is
// handed out for the first time, by this or another File of the process. It is safe
// for concurrent use.
type File struct {
	store *Store
	copy  *Copy
	file  disk.File
	base  int64  // where the bytes begin in the file
	sum   []byte // the SHA-256 that they are verified by, if any
	plain *File  // of the bytes alone: see Pin
}

// touchEvery is how often at most the use of a copy is noted on disk, where
// eviction finds it.
const touchEvery = int64(10 * time.Second)

// Open opens the file with the bytes of c into f, which costs no allocation of its own. If a
// SHA-256 is given, all of the file is verified by it, once in a process. A disk that
// hangs is left when ctx ends, or earlier.
func (s *Store) Open(ctx context.Context, f *File, c *Copy, sum []byte) error {
	now := s.clock.Now().Wall
	s.index.hold(c.entry)
	file, info, err := s.openTrusted(ctx, now, c)
	if err != nil {
		s.release(c.data)
		return err
	}
	s.breaker.Success()
	s.returned(now)
	*f = File{store: s, copy: s.checkedAs(ctx, now, c, info.ID), file: file, sum: sum}
	if c.inline {
		f.base = c.length
		if lost := s.index.opened(c.data); lost != (room{}) {
			s.budget.addOpen(lost)
		}
	}
	if err := f.verifySHA256(sum); err != nil {
		f.Close()
		return err
	}
	return nil
}

func (s *Store) openTrusted(ctx context.Context, now int64, c *Copy) (disk.File, disk.Info, error) {
	if s.trusted(ctx, now) {
		return s.openBytes(c)
	}
	return s.openWithin(ctx, c)
}

func (s *Store) openWithin(ctx context.Context, c *Copy) (disk.File, disk.Info, error) {
	type opened struct {
		file disk.File
		info disk.Info
	}
	var o opened
	err := s.within(ctx, func() (err error) {
		o.file, o.info, err = s.openBytes(c)
		return err
	}, func() {
		if o.file != nil {
			o.file.Close()
		}
	})
	if err != nil {
		return nil, disk.Info{}, err
	}
	return o.file, o.info, nil
}

// checkedAs returns c with the set of its verified blocks: the one it has, if the
// file is the same as then, or a new one. It notes on disk that c was used.
func (s *Store) checkedAs(ctx context.Context, now int64, c *Copy, id disk.FileID) *Copy {
	if c.holds(id) && now-c.touched < touchEvery {
		return c
	}
	known := *c
	if !c.holds(id) {
		known.fileID, known.checked = id, blocks.NewSet(len(c.crcs), now)
		if c.checked != nil && !c.isTouched(id) || c.checked == nil && !c.fetched {
			s.verified.Add(1)
		}
	}
	if now-c.touched >= touchEvery {
		known.touched = now
		s.faultUnlessNotExist(s.touch(ctx, c.key, now))
	}
	s.index.swap(c, &known)
	return &known
}

// touch notes on disk that the copy of k is used. A frozen disk can be read, but not
// touched.
func (s *Store) touch(ctx context.Context, k Key, now int64) error {
	touch := func() error { return s.disk.Touch(entryPath(k.entryName()), time.Unix(0, now)) }
	if ctx.Done() == nil {
		return touch()
	}
	err := s.within(ctx, touch, func() {})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // no fault of the disk
	}
	return err
}

// Copy returns the copy that f reads.
func (f *File) Copy() *Copy { return f.copy }

// BlockSize returns the size of all blocks but the last.
func (f *File) BlockSize() int64 { return f.copy.blockSize }

// Close ends the use of f.
func (f *File) Close() error {
	f.store.release(f.copy.data)
	if f.plain != nil {
		f.plain.Close()
	}
	return f.file.Close()
}

// ReadSome reads the front of p, which begins at off: as many verified blocks as
// there are in a row, or one that is to be verified. An error means that the block
// at off cannot be used: it matches ErrDamaged, or fs.ErrClosed after Close.
func (f *File) ReadSome(p []byte, off int64) (int, error) {
	i := int(off / f.copy.blockSize)
	if end := f.verifiedEnd(i, off+int64(len(p))); end > off {
		p = p[:min(int64(len(p)), end-off)]
		if err := f.read(p, off); err != nil {
			return 0, err
		}
		f.store.diskBytes.Add(int64(len(p)))
		return len(p), nil
	}
	start, end := f.bounds(i)
	p = p[:min(int64(len(p)), end-off)]
	if err := f.verify(i, p, off-start, start, end); err != nil {
		return 0, err
	}
	f.copy.checked.Add(i)
	f.store.diskBytes.Add(int64(len(p)))
	return len(p), nil
}

// read fills p with the bytes from off on, unverified.
func (f *File) read(p []byte, off int64) error {
	if n, err := f.file.ReadAt(p, f.base+off); n < len(p) {
		return asDamage(err)
	}
	return nil
}

// verifiedEnd returns where the verified blocks end that begin with block i, as
// far as limit.
func (f *File) verifiedEnd(i int, limit int64) (end int64) {
	for ; i < len(f.copy.crcs) && f.copy.checked.Has(i); i++ {
		if _, end = f.bounds(i); end >= limit {
			break
		}
	}
	return end
}

func (f *File) bounds(i int) (start, end int64) {
	start = int64(i) * f.copy.blockSize
	return start, min(start+f.copy.blockSize, f.copy.size)
}

// Block returns where the block around off begins and ends.
func (f *File) Block(off int64) (start, end int64) { return f.bounds(int(off / f.copy.blockSize)) }

// Check verifies b as the block that begins at start.
func (f *File) Check(b []byte, start int64) bool {
	return f.compare(int(start/f.copy.blockSize), crc64nvme.Checksum(b)) == nil
}

// verify reads block i, which goes from start to end, and puts into p what is
// there from skip on. The bytes in p are those that went through the checksum.
func (f *File) verify(i int, p []byte, skip, start, end int64) error {
	if skip == 0 && int64(len(p)) == end-start {
		if err := f.read(p, start); err != nil {
			return err
		}
		return f.compare(i, crc64nvme.Checksum(p))
	}
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	var crc uint64
	for at := start; at < end; {
		b := (*buf)[:min(int64(len(*buf)), end-at)]
		if err := f.read(b, at); err != nil {
			return err
		}
		crc = crc64nvme.Update(crc, b)
		// The part of b that p wants begins at want, seen from start.
		if want, from := skip, at-start; from+int64(len(b)) > want && from < want+int64(len(p)) {
			copy(p[max(0, from-want):], b[max(0, want-from):])
		}
		at += int64(len(b))
	}
	return f.compare(i, crc)
}

func (f *File) compare(i int, crc uint64) error {
	if crc != f.copy.crcs[i] {
		return fmt.Errorf("%w: block %d", ErrDamaged, i)
	}
	return nil
}

// asDamage is the error of a read that ended too early: what cannot be read is as
// good as damaged.
func asDamage(err error) error {
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: too short", ErrDamaged)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// verifySHA256 verifies all of the file, unless that was done before.
func (f *File) verifySHA256(want []byte) error {
	if want == nil || f.copy.checked.SHA256OK.Load() {
		return nil
	}
	h := sha256.New()
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for i := range f.copy.crcs {
		if err := f.hashBlock(h, i, *buf); err != nil {
			return err
		}
	}
	if got := h.Sum(nil); string(got) != string(want) {
		return fmt.Errorf("%w: its SHA-256 is %x, expected %x", ErrDamaged, got, want)
	}
	f.copy.checked.SHA256OK.Store(true)
	return nil
}

// hashBlock adds block i to h. The CRC of the block must be right too: what is
// read later relies on it.
func (f *File) hashBlock(h io.Writer, i int, buf []byte) error {
	start, end := f.bounds(i)
	var crc uint64
	for at := start; at < end; {
		b := buf[:min(int64(len(buf)), end-at)]
		if err := f.read(b, at); err != nil {
			return err
		}
		crc = crc64nvme.Update(crc, b)
		h.Write(b)
		at += int64(len(b))
	}
	if err := f.compare(i, crc); err != nil {
		return err
	}
	f.copy.checked.Add(i)
	return nil
}

// Pin verifies all of the file and locks it, so that neither this process nor
// another one removes it before Close. It returns the path of the file. If the bytes are
// in the entry, the copy is changed into one with a data file.
func (f *File) Pin() (path string, err error) {
	if f.copy.inline {
		if f.plain == nil {
			if f.plain, err = f.store.openUnpacked(f); err != nil {
				return "", err
			}
		}
		return f.plain.Pin()
	}
	if err := f.lock(); err != nil {
		return "", err
	}
	info, err := f.file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Linked { // it was removed before the lock
		return "", fs.ErrNotExist
	}
	if err := f.alone(); err != nil {
		return "", err
	}
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for i := range f.copy.crcs {
		if f.copy.checked.Has(i) {
			continue
		}
		start, end := f.bounds(i)
		if err := f.verify(i, (*buf)[:0], 0, start, end); err != nil {
			return "", err
		}
		f.copy.checked.Add(i)
	}
	return f.store.disk.Path(dataPath(f.copy.data))
}

// alone makes sure that no such file is there.
func (f *File) alone() error {
	for _, suffix := range sideFiles {
		if _, err := f.store.disk.Lstat(dataPath(f.copy.data + suffix)); err == nil {
			return fmt.Errorf("%w: a program has written %s beside it", ErrDamaged, suffix)
		}
	}
	return nil
}

// lock takes the lock that keeps the file, where there are locks. Another process
// has it for the moment of a look, or to remove the file.
func (f *File) lock() error { return lockShared(f.file) }

func lockShared(f disk.File) error {
	for range 20 {
		if err := f.Lock(false); !errors.Is(err, disk.ErrLocked) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fs.ErrNotExist
}
