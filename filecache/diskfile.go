package filecache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// diskFile reads a local copy. Each block is verified before a byte of it is
// handed out for the first time, by this or another File of the process. What
// does not verify comes from the origin instead.
type diskFile struct {
	cache *Cache
	ctx   context.Context // of Open, for asking the origin
	obj   Object
	local *local
	file  file
	again bool // it stands in for one that could not be read

	mu       sync.Mutex
	repaired []byte // the last block that came from the origin
	at       int    // which it is
}

var errDamaged = errors.New("damaged data file")

func (d *diskFile) Close() error {
	d.cache.release(d.local.data)
	return d.file.Close()
}

// ReadAt fills p from off; both are within the file.
func (d *diskFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := d.readSome(p[n:], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// readSome reads the front of p: as many verified blocks as there are in a row,
// or one that is to be verified.
func (d *diskFile) readSome(p []byte, off int64) (int, error) {
	i := int(off / d.local.blockSize)
	if end := d.verifiedEnd(i, off+int64(len(p))); end > off {
		p = p[:min(int64(len(p)), end-off)]
		if n, err := d.file.ReadAt(p, off); n < len(p) {
			return d.repair(i, p, off, short(err))
		}
		d.cache.stats.diskBytes.Add(int64(len(p)))
		return len(p), nil
	}
	start, end := d.bounds(i)
	p = p[:min(int64(len(p)), end-off)]
	if err := d.verify(i, p, off-start, start, end); err != nil {
		return d.repair(i, p, off, err)
	}
	d.local.checked.Add(i)
	d.cache.stats.diskBytes.Add(int64(len(p)))
	return len(p), nil
}

// verifiedEnd returns where the verified blocks end that begin with block i, as
// far as limit.
func (d *diskFile) verifiedEnd(i int, limit int64) (end int64) {
	for ; i < len(d.local.blocks) && d.local.checked.Has(i); i++ {
		if _, end = d.bounds(i); end >= limit {
			break
		}
	}
	return end
}

func (d *diskFile) bounds(i int) (start, end int64) {
	start = int64(i) * d.local.blockSize
	return start, min(start+d.local.blockSize, d.local.size)
}

// verify reads block i, which goes from start to end, and puts into p what is
// there from skip on. The bytes in p are those that went through the checksum.
func (d *diskFile) verify(i int, p []byte, skip, start, end int64) error {
	if skip == 0 && int64(len(p)) == end-start {
		if n, err := d.file.ReadAt(p, start); n < len(p) {
			return short(err)
		}
		return d.compare(i, crc64nvme.Checksum(p))
	}
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	var crc uint64
	for at := start; at < end; {
		b := (*buf)[:min(int64(len(*buf)), end-at)]
		if n, err := d.file.ReadAt(b, at); n < len(b) {
			return short(err)
		}
		crc = crc64nvme.Update(crc, b)
		// The part of b that p wants begins at want, seen from start.
		if want, from := skip, at-start; from+int64(len(b)) > want && from < want+int64(len(p)) {
			copy(p[max(0, from-want):], b[max(0, want-from):])
		}
		at += int64(len(b))
	}
	return d.compare(i, crc)
}

func (d *diskFile) compare(i int, crc uint64) error {
	if crc != d.local.blocks[i] {
		return fmt.Errorf("%w: block %d", errDamaged, i)
	}
	return nil
}

// short is the error of a read that ended too early: what cannot be read is as
// good as damaged.
func short(err error) error {
	if err == nil || err == io.EOF {
		return fmt.Errorf("%w: too short", errDamaged)
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}

// repair fills p with bytes of block i, which cannot be used, from the same
// version at the origin. The copy is dropped: the next Open fetches it anew. Data
// files are never rewritten.
func (d *diskFile) repair(i int, p []byte, off int64, why error) (int, error) {
	if errors.Is(why, fs.ErrClosed) { // meanwhile, by the caller: the copy is as good as before
		return 0, fs.ErrClosed
	}
	start, end := d.bounds(i)
	p = p[:min(int64(len(p)), end-off)]
	b := d.lastRepaired(i)
	if b == nil {
		d.cache.discard(d.local, why)
		b = make([]byte, end-start)
		if err := d.fetch(b, start); err != nil {
			return 0, err
		}
		if d.compare(i, crc64nvme.Checksum(b)) != nil {
			return 0, fmt.Errorf("%w: block %d", ErrChecksum, i)
		}
		d.cache.stats.repairs.Add(1)
		d.mu.Lock()
		d.repaired, d.at = b, i
		d.mu.Unlock()
	}
	return copy(p, b[off-start:]), nil
}

// fetch fills p, which begins at start, with bytes from the origin.
func (d *diskFile) fetch(p []byte, start int64) error {
	if d.local.id.sha256() != nil {
		return d.fetchProven(p, start)
	}
	return d.cache.fetchRange(d.ctx, d.obj, d.local.source().object, p, start)
}

func (d *diskFile) lastRepaired(i int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at != i {
		return nil
	}
	return d.repaired
}

// pin verifies all of the file and locks it, so that neither this process nor
// another one removes it while it is open.
func (d *diskFile) pin() error {
	if err := d.lock(); err != nil {
		return err
	}
	fi, err := d.file.Stat()
	if err != nil {
		return err
	}
	if !ours(fi) { // removed just before the lock
		return fs.ErrNotExist
	}
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for i := range d.local.blocks {
		if d.local.checked.Has(i) {
			continue
		}
		start, end := d.bounds(i)
		if err := d.verify(i, (*buf)[:0], 0, start, end); err != nil {
			return err
		}
		d.local.checked.Add(i)
	}
	return nil
}

// lock takes the lock that keeps the file, where there are locks. Somebody else
// has it for the moment of a look, or to remove the file.
func (d *diskFile) lock() error {
	for range 20 {
		if err := d.file.Lock(false); !errors.Is(err, errLocked) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fs.ErrNotExist
}
