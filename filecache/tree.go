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

// DefaultTreeLimit is the most that Tree unpacks if it is given no limit, in bytes.
const DefaultTreeLimit = 1 << 30

// Tree returns a directory with the files of the archive obj: a tar, gzipped or not, or a
// zip. It is unpacked once for each version of obj, and once for several processes, and
// stays for later calls and for the next process. The directory appears as a whole. Two
// versions have different directories, and one version may have several.
//
// Until release is called, the directory is neither evicted nor removed, as far as the file
// system has locks. Calling release more than once is safe. The files are read-only and
// must not be changed, nor may files be added; those that were executable still are, and
// modification times are those of the archive. See Path for how safe the path is.
//
// Every call compares all of the directory with what it was after unpacking: the names,
// sizes, modes, inodes and times of its files. If anything is missing, added or changed,
// the archive is unpacked anew. That is less than the checksum by which other files are
// verified: it does not find a disk that returns other bytes than were written. It takes
// time for each file, not for each byte.
//
// More than limit bytes are an error that matches ErrTooLarge; each file or directory
// counts in whole pages of 4 KiB. Zero means DefaultTreeLimit, a negative limit is an
// error, and 65,536 files and directories are the most. An archive with anything but files
// and directories, such as a link, is an error, and so is a name that is absolute, has an
// element "..", a backslash or a NUL, or that two files share. Another format can be
// converted to a tar by Derived.
//
// The files count towards Options.MaxBytes and towards the inodes, and are evicted
// together. The Cache keeps a copy of the archive, too, for as long as there is room. How old they may be, and what Forget, Clear and Options.StaleIfError do, is as
// for Derived. The other errors are those of Open, and ErrNoDisk if the files cannot be
// kept.
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

// openTree opens the tree that a manifest describes. A manifest without its tree is
// dropped, and made anew with another one.
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

// treeAttempts is how often a tree may be replaced, by other processes or by Clear,
// between the opening of its manifest and its own.
const treeAttempts = 10

// treeOf opens the tree of a manifest.
func (c *Cache) treeOf(manifest *File, k store.Key) (*store.Tree, error) {
	b, err := readManifest(manifest)
	if err != nil {
		return nil, err
	}
	return c.store.OpenTree(k, b)
}

// readManifest returns the bytes of f. A damaged block is not repaired: the one that would
// be made now is of another tree. A manifest that was not kept on disk is as good, as long
// as its tree is there.
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

// unpacking is what one call of Tree makes, if it must. What it has published is held
// until the call ends, since the manifest is published only after that.
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

// noTree makes an ErrNoDisk of the disk's errors.
func noTree(err error) error {
	if errors.Is(err, store.ErrTree) {
		return fmt.Errorf("%w: %w", ErrNoDisk, err)
	}
	return err
}

// keep keeps d until the call of Tree has ended.
func (u *unpacking) keep(d *store.TreeDraft) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		d.Close()
		return
	}
	u.made = append(u.made, d)
}

// end ends the call. The tree of the version before is litter by now.
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
