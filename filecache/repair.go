package filecache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// localFile reads a local copy. It replaces corrupt blocks by the origin's bytes.
type localFile struct {
	store.File
	cache *Cache
	ctx   context.Context // of Open, for requests
	obj   Object
	again bool // whether it replaces a copy that could not be read

	mu       sync.Mutex
	repaired []byte // the last block fetched from the origin
	at       int64  // its offset
}

// openLocal opens a local copy.
func (c *Cache) openLocal(ctx context.Context, obj Object, l *store.Copy) (*File, error) {
	f := &struct { // both in one allocation
		File
		local localFile
	}{local: localFile{cache: c, ctx: ctx, obj: obj}}
	if err := c.store.Open(ctx, &f.local.File, l, ID(l.Key()).sha256()); err != nil {
		return nil, err
	}
	f.object, f.validation, f.bytes = objectOf(l), l.Validation, &f.local
	return &f.File, nil
}

// ReadAt fills p from off; both are within the file.
func (f *localFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := f.ReadSome(p[n:], off+int64(n))
		if err != nil {
			m, err = f.repair(p[n:], off+int64(n), err)
		}
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// repair fills p from the origin with the block at off, which is corrupt, in the same
// version. It drops the copy, so that the next Open fetches the object: data files are
// never rewritten.
func (f *localFile) repair(p []byte, off int64, why error) (int, error) {
	if errors.Is(why, fs.ErrClosed) { // closed by the caller; the copy is fine
		return 0, fs.ErrClosed
	}
	start, end := f.Block(off)
	p = p[:min(int64(len(p)), end-off)]
	b := f.lastRepaired(start)
	if b == nil {
		f.cache.store.DropCorrupt(f.Copy(), why)
		b = make([]byte, end-start)
		if err := f.fetch(b, start); err != nil {
			return 0, err
		}
		if !f.Check(b, start) {
			return 0, fmt.Errorf("%w: the block at %d", ErrChecksum, start)
		}
		f.cache.stats.repairs.Add(1)
		f.mu.Lock()
		f.repaired, f.at = b, start
		f.mu.Unlock()
	}
	return copy(p, b[off-start:]), nil
}

func (f *localFile) lastRepaired(start int64) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at != start {
		return nil
	}
	return f.repaired
}

// fetch fills p, which begins at start, from the origin. The block's CRC shows whether
// the bytes are of the same version.
func (f *localFile) fetch(p []byte, start int64) error {
	what := objectOf(f.Copy())
	if what.id.sha256() != nil {
		return f.fetchVerified(p, start)
	}
	v := f.cache.version(f.obj, what)
	return v.Read(f.ctx, p, start, transfer.Patience{})
}

// fetchVerified fills p, which begins at start, from a new copy that is verified as a
// whole: for an object with a SHA-256, a CRC is not enough.
func (f *localFile) fetchVerified(p []byte, start int64) error {
	n, err := f.openAgain()
	if err != nil {
		return err
	}
	defer n.Close()
	_, err = n.ReadAt(p, start)
	return err
}

// openAgain is Open, but works after Close of the Cache. If the disk has lost a new copy,
// too, it does not use the disk.
func (f *localFile) openAgain() (*File, error) {
	id := ID(f.Copy().Key())
	if f.again {
		return f.cache.openUncached(f.ctx, f.obj, id, store.ErrDamaged)
	}
	n, err := f.cache.openObject(f.ctx, f.obj, id)
	if err == nil {
		if l, ok := n.bytes.(*localFile); ok {
			l.again = true
		}
	}
	return n, err
}
