package filecache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// DefaultTreeLimit is the limit of [Cache.Tree], in bytes, if the caller passes zero.
const DefaultTreeLimit = 1 << 30

// Tree returns a directory with the files of the archive obj: a tar, gzipped or not, or a
// zip. Use [Derived] to convert other formats to tar. Tree unpacks each version of obj
// once, also for several processes on Linux. The directory stays for later calls and for
// the next process, and it appears as a whole. Two versions have different directories;
// one version may have several.
//
// Until release is called, the directory is neither evicted nor removed, as far as the file
// system has locks. Calling release more than once is safe. Files must not be changed or
// added. The files are read-only; executable ones stay executable, and modification times
// are those of the archive. See [Cache.Path] for how safe the path is.
//
// Every call compares the whole directory with its state after unpacking: the names, sizes,
// modes, inodes and times of all files. If anything is missing, added or changed, Tree
// unpacks the archive again. This is weaker than the checksums that verify other files: it
// does not detect a disk that returns wrong bytes. It costs time for each file,
// independent of its size.
//
// If the files are larger than limit bytes, the error matches [ErrTooLarge]. Each file
// or directory counts in whole pages of 4 KiB, and there can be at most 65,536. Zero
// means [DefaultTreeLimit]; a negative limit is an error. Tree refuses archives with
// links, devices or encrypted files. It also refuses names that are absolute, contain
// "..", a backslash or a NUL, or occur twice.
//
// The files count towards [Options.MaxBytes] and towards the inodes, and are evicted
// together. The Cache also keeps a copy of the archive while there is room. Freshness,
// [Cache.Forget], [Cache.Clear] and [Options.StaleIfError] work as for [Derived]. The
// error is [ErrNoDisk] if the files cannot be kept; others are those of [Cache.Open].
func (c *Cache) Tree(ctx context.Context, obj Object, limit int64) (dir string, release func(), err error) {
	if limit == 0 {
		limit = DefaultTreeLimit
	}
	u := &unpacking{cache: c, limit: limit}
	defer u.end()
	manifest := derivedHere(obj, fmt.Sprintf("tree-%d", limit), u.unpack)
	u.id, err = c.identify(manifest)
	if err == nil && limit < 0 {
		err = fmt.Errorf("the limit is %d bytes: it must not be negative; zero means %d", limit, DefaultTreeLimit)
	}
	if err != nil {
		return "", nil, fmt.Errorf("filecache.Tree: %w", err)
	}
	t, err := c.openTree(ctx, manifest, u.id)
	if err != nil {
		src, _ := u.id.source()
		return "", nil, &fs.PathError{Op: "tree", Path: src.String(), Err: err}
	}
	return t.Path, sync.OnceFunc(t.Close), nil
}

// openTree opens the tree that a manifest describes. If the tree is missing or damaged, it
// drops the manifest, and the next attempt makes both again.
func (c *Cache) openTree(ctx context.Context, manifest Object, id ID) (*store.Tree, error) {
	var why error
	for n, damaged := 0, 0; n < treeAttempts && damaged < attempts; n++ {
		f, err := c.openObject(ctx, manifest, id)
		if err != nil {
			return nil, err
		}
		t, err := c.treeOf(f, store.Key(id))
		f.Close()
		if err == nil {
			return t, nil
		}
		if local, ok := f.bytes.(*localFile); ok {
			c.store.DropCorrupt(local.Copy(), err)
		}
		if errors.Is(err, store.ErrDamaged) { // as on a file system whose inodes change
			damaged++
		}
		why = err
	}
	// The disk's error must not be matched: it may be that a file does not exist.
	return nil, fmt.Errorf("%w: %v", ErrNoDisk, why)
}

// treeAttempts bounds how often Tree tries again because another process or Clear
// replaced a tree after its manifest was opened.
const treeAttempts = 10

// treeOf opens the tree of a manifest.
func (c *Cache) treeOf(manifest *File, k store.Key) (*store.Tree, error) {
	b, err := readManifest(manifest)
	if err != nil {
		return nil, err
	}
	return c.store.OpenTree(k, b)
}

// readManifest returns the bytes of f. It does not repair a corrupt block: the repair
// would unpack the archive again, and return the manifest of another tree. A manifest
// in memory is valid while its tree exists.
func readManifest(f *File) ([]byte, error) {
	local, ok := f.bytes.(*localFile)
	if !ok {
		return f.readAll()
	}
	b := make([]byte, f.size)
	for n := 0; n < len(b); {
		m, err := local.ReadSome(b[n:], int64(n))
		if err != nil {
			return nil, err
		}
		n += m
	}
	return b, nil
}

// unpacking is one call of Tree. It keeps the trees that it publishes locked until the
// call ends: a tree is litter until the store has published its manifest.
type unpacking struct {
	cache *Cache
	id    ID // of the manifest
	limit int64

	mu    sync.Mutex
	ended bool
	made  []*store.TreeDraft
}

// unpack unpacks src into a tree, and writes its manifest.
func (u *unpacking) unpack(ctx context.Context, src *File, dst io.Writer) (err error) {
	d, err := u.cache.store.NewTree(store.Key(u.id))
	if err != nil {
		return noTree(err)
	}
	defer u.keep(d)
	if err := newUnpacker(ctx, d, u.limit).unpack(src); err != nil {
		return noTree(err)
	}
	manifest, err := d.Publish()
	if err != nil {
		return noTree(err)
	}
	_, err = dst.Write(manifest)
	return err
}

// noTree converts errors of the disk to ErrNoDisk.
func noTree(err error) error {
	if errors.Is(err, store.ErrTree) {
		return fmt.Errorf("%w: %w", ErrNoDisk, err)
	}
	return err
}

// keep holds d until the call of Tree ends.
func (u *unpacking) keep(d *store.TreeDraft) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		d.Close()
		return
	}
	u.made = append(u.made, d)
}

// end ends the call, and removes the tree of the previous version.
func (u *unpacking) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	for _, d := range u.made {
		d.Close()
	}
	if u.made != nil {
		u.cache.store.SweepTrees()
	}
}
