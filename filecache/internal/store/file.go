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

// A File is a copy open for reading. Before this process first returns a byte of a block,
// it verifies the block. It is safe for concurrent use.
type File struct {
	store *Store
	copy  *Copy
	file  disk.File
	base  int64  // offset of the bytes in the file
	sum   []byte // the expected SHA-256, or nil
	plain *File  // a File of the unpacked copy: see Pin
	use   *use
}

// touchEvery is the minimum time between two records of a copy's use on disk. Eviction
// reads these records.
const touchEvery = int64(10 * time.Second)

// Open opens the file with the bytes of c into f, which saves an allocation. If sum is
// set, it verifies the SHA-256 of the whole file, once in a process. If the disk hangs,
// Open returns when ctx ends, or earlier.
func (s *Store) Open(ctx context.Context, f *File, c *Copy, sum []byte) error {
	now := s.clock.Now().Wall
	use := s.index.hold(c.entry)
	file, info, err := s.openTrusted(ctx, now, c)
	if err != nil {
		s.release(use)
		return err
	}
	s.breaker.Success()
	s.returned(now)
	*f = File{store: s, copy: s.checkedAs(ctx, now, c, info.ID), file: file, sum: sum, use: use}
	if c.inline {
		f.base = c.length
		if lost := s.index.foundName(use); lost != (room{}) {
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

// checkedAs returns c with the set of its verified blocks. It keeps the set that c has if
// the file is unchanged since, and otherwise makes a new one. It records on disk that c
// was used.
func (s *Store) checkedAs(ctx context.Context, now int64, c *Copy, id disk.FileID) *Copy {
	if c.holds(id) && now-c.touched < touchEvery {
		return c
	}
	known := *c
	known.path = c.bytesPath()
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

// touch records on disk that the copy of k is used. A frozen disk can be read, but not
// written to.
func (s *Store) touch(ctx context.Context, k Key, now int64) error {
	touch := func() error { return s.disk.Touch(entryPath(k.entryName()), time.Unix(0, now)) }
	if ctx.Done() == nil {
		return touch()
	}
	err := s.within(ctx, touch, func() {})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // not a failure of the disk
	}
	return err
}

// Copy returns the copy that f reads.
func (f *File) Copy() *Copy { return f.copy }

// BlockSize returns the size of all blocks but the last.
func (f *File) BlockSize() int64 { return f.copy.blockSize }

// Close closes f.
func (f *File) Close() error {
	f.store.release(f.use)
	if f.plain != nil {
		f.plain.Close()
	}
	return f.file.Close()
}

// ReadSome reads bytes from off into the front of p. It reads all consecutive verified
// blocks, or else verifies and reads one block. An error means that the block at off
// cannot be used. The error matches ErrDamaged, or fs.ErrClosed after Close.
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

// read fills p with the bytes at off, without verifying them.
func (f *File) read(p []byte, off int64) error {
	if n, err := f.file.ReadAt(p, f.base+off); n < len(p) {
		return asDamage(err)
	}
	return nil
}

// verifiedEnd returns the end of the run of verified blocks that starts with block i. It
// stops at limit.
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

// Block returns the bounds of the block that contains off.
func (f *File) Block(off int64) (start, end int64) { return f.bounds(int(off / f.copy.blockSize)) }

// Check verifies b as the block that starts at start.
func (f *File) Check(b []byte, start int64) bool {
	return f.compare(int(start/f.copy.blockSize), crc64nvme.Checksum(b)) == nil
}

// verify reads and verifies block i, which spans start to end. It copies the bytes from
// skip on into p. The checksum covers the very bytes that p receives.
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
		// The bytes for p start at offset want of the block.
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

// asDamage wraps the error of a short read in ErrDamaged: an unreadable block is as bad
// as a damaged one.
func asDamage(err error) error {
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: too short", ErrDamaged)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// verifySHA256 verifies the whole file, unless that was done before.
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

// hashBlock adds block i to h. It also checks the block's CRC, since later reads rely on
// it.
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

// Pin verifies the whole file and locks it, so that no process removes it before Close.
// It returns the path of the file. If the bytes are in the entry, Pin first moves them
// into a data file.
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
	if !info.Linked { // it was removed before it was locked
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

// alone checks that no such side file exists.
func (f *File) alone() error {
	for _, suffix := range sideFiles {
		if _, err := f.store.disk.Lstat(dataPath(f.copy.data + suffix)); err == nil {
			return fmt.Errorf("%w: a program has written %s beside it", ErrDamaged, suffix)
		}
	}
	return nil
}

// lock takes the shared lock that keeps the file, if the file system supports locks.
// Another process may hold the exclusive lock briefly, to check or remove the file.
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
