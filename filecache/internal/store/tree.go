package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// A tree is a directory of unpacked files, below t/. Its manifest is the data of a copy. The
// name of the tree contains the name of the copy's entry and the CRC of the manifest, so
// the entry tells which tree it refers to. The tree is fresh, shared or invalid when the
// copy is. A tree without such an entry is litter.
//
// A shared lock on the directory protects a tree that is in use, or whose manifest is about
// to be published. Removal takes the exclusive lock and renames the tree first, so that
// half a tree is never found under its name.

// ErrTree is the error of a tree that the disk failed to store or has no room for. Errors
// that match it do not match their cause: an fs.ErrNotExist of the disk does not mean that
// the object is missing.
var ErrTree = errors.New("the disk failed to store the tree")

// A TreeDraft is a tree under construction.
type TreeDraft struct {
	store    *Store
	entry    string // the name of the manifest's entry
	name     string // the temporary name, until it is published
	root     disk.Subdir
	below    []step // the open directories from the root to the one last used
	reserved room
	used     room
	written  int64
}

type step struct {
	name string
	dir  disk.Subdir
}

// leastFiles is the minimum number of files that a TreeDraft reserves room for.
const leastFiles = 64

// NewTree returns an empty TreeDraft for the copy of k.
func (s *Store) NewTree(k Key) (*TreeDraft, error) {
	err := s.makeDir(treeDir)
	if err == nil {
		d := &TreeDraft{store: s, entry: k.entryName()}
		if d.name, d.root, err = s.newHeld(treeDir+"/"+disk.TempPrefix, false); err == nil {
			if err = d.take(room{page, 1}); err == nil {
				return d, nil
			}
			d.Close()
		}
	}
	return nil, s.treeFault(err)
}

func (s *Store) treeFault(err error) error {
	if err == nil || errors.Is(err, ErrTree) {
		return err
	}
	s.fault(err)
	return fmt.Errorf("%w: %v", ErrTree, err)
}

// Mkdir makes a directory. Its parent must exist.
func (d *TreeDraft) Mkdir(name string) error {
	return d.at(name, room{page, 1}, func(dir disk.Subdir, base string) error { return dir.Mkdir(base) })
}

// File makes a file from the size bytes of r. It returns an error of r as it is; all
// other errors match ErrTree.
func (d *TreeDraft) File(name string, size int64, executable bool, modified time.Time, r io.Reader) error {
	var readErr error
	err := d.at(name, room{TreeBytes(size), 1}, func(dir disk.Subdir, base string) error {
		f, err := dir.Create(base, executable)
		if err != nil {
			return err
		}
		if readErr, err = d.copy(f, r, size); err == nil {
			err = f.Close()
		} else {
			f.Close()
		}
		if err == nil && readErr == nil && !modified.IsZero() {
			err = dir.Touch(base, modified)
		}
		return err
	})
	if readErr != nil {
		return readErr
	}
	return err
}

// copy copies size bytes from r to w. It returns errors of r and w separately.
func (d *TreeDraft) copy(w io.Writer, r io.Reader, size int64) (readErr, err error) {
	to := &treeWriter{d, w, nil}
	n, err := io.CopyBuffer(struct{ io.Writer }{to}, io.LimitReader(r, size+1), make([]byte, 64<<10))
	switch {
	case to.err != nil:
		return nil, to.err
	case err != nil:
		return err, nil
	case n != size:
		return fmt.Errorf("its size differs from the %d bytes that the archive announces", size), nil
	}
	return nil, nil
}

// treeWriter makes room once if the file system is full.
type treeWriter struct {
	draft *TreeDraft
	w     io.Writer
	err   error
}

func (w *treeWriter) Write(p []byte) (n int, err error) {
	if n, err = w.w.Write(p); w.draft.store.madeRoom(err, room{pages(int64(len(p) - n)), 1}) {
		var m int
		m, err = w.w.Write(p[n:])
		n += m
	}
	w.draft.wrote(int64(n))
	w.err = err
	return n, err
}

// at reserves room and calls do with the parent directory of name.
func (d *TreeDraft) at(name string, need room, do func(dir disk.Subdir, base string) error) error {
	if err := d.take(need); err != nil {
		return err
	}
	dir, base := "", name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, base = name[:i], name[i+1:]
	}
	at, err := d.enter(dir)
	if err == nil {
		err = do(at, base)
	}
	return d.store.treeFault(err)
}

// take consumes reserved room, and reserves more if necessary.
func (d *TreeDraft) take(need room) error {
	d.used = d.used.plus(need)
	if d.used.fits(d.reserved) {
		return nil
	}
	missing := d.used.minus(d.reserved).atLeast(room{})
	for _, more := range []room{missing.atLeast(room{leastGrowth, leastFiles}), missing} {
		if d.store.reserve(more) {
			d.reserved = d.reserved.plus(more)
			return nil
		}
	}
	return fmt.Errorf("%w: there is no room for %d bytes in %d files", ErrTree, d.used.bytes, d.used.files)
}

func (d *TreeDraft) wrote(n int64) {
	d.written += n
	d.store.budget.wrote(n)
}

// enter returns a directory of the draft. It keeps the directories on the path to it
// open.
func (d *TreeDraft) enter(dir string) (disk.Subdir, error) {
	var names []string
	if dir != "" {
		names = strings.Split(dir, "/")
	}
	n := 0
	for n < min(len(names), len(d.below)) && names[n] == d.below[n].name {
		n++
	}
	d.leave(n)
	at := d.root
	if n > 0 {
		at = d.below[n-1].dir
	}
	for _, name := range names[n:] {
		sub, err := at.OpenDir(name)
		if err != nil {
			return nil, err
		}
		d.below = append(d.below, step{name, sub})
		at = sub
	}
	return at, nil
}

// leave closes all but the first n directories below the root.
func (d *TreeDraft) leave(n int) {
	for _, s := range d.below[n:] {
		s.dir.Close()
	}
	d.below = d.below[:n]
}

// Publish gives the tree its name and returns its manifest. The caller stores the
// manifest as the copy that refers to the tree, and then calls Close. Until then the tree
// is not removed as litter.
func (d *TreeDraft) Publish() (manifest []byte, err error) {
	d.leave(0)
	m := newManifest(d.used)
	if err := m.seal(d.root); err != nil {
		return nil, d.store.treeFault(err)
	}
	b := m.encode()
	name := treeName(d.entry, d.used, crc64nvme.Checksum(b))
	if !disk.CanLock { // an open directory cannot be renamed on this system
		d.root.Close()
	}
	if err := d.store.disk.Rename(d.name, treePath(name)); err != nil {
		return nil, d.store.treeFault(err)
	}
	d.name = ""
	d.store.budget.useTree(name)
	d.release()
	return b, nil
}

func (d *TreeDraft) release() {
	d.store.budget.wrote(-d.written)
	d.store.budget.unreserve(d.reserved)
	d.reserved, d.written = room{}, 0
}

// Close ends the draft. A draft that was not published leaves nothing behind.
func (d *TreeDraft) Close() {
	d.leave(0)
	d.release()
	if d.name != "" {
		d.store.fault(d.store.raw.RemoveAll(d.name))
	}
	d.root.Close()
}

// A Tree is a tree in use. It is neither evicted nor removed before Close, if the file
// system supports locks.
type Tree struct {
	Path string

	store *Store
	name  string
	root  disk.Subdir
}

// Close ends the use of the tree.
func (t *Tree) Close() {
	t.store.index.releaseTree(t.name)
	t.root.Close()
}

// OpenTree opens the tree of the copy of k, whose bytes are manifest. It compares the tree
// with the manifest. If they differ, the error matches ErrDamaged; if there is no such
// tree, it matches fs.ErrNotExist.
func (s *Store) OpenTree(k Key, manifest []byte) (*Tree, error) {
	m, err := decodeManifest(manifest)
	if err != nil {
		return nil, err
	}
	t := &Tree{store: s, name: treeName(k.entryName(), m.room, crc64nvme.Checksum(manifest))}
	s.index.holdTree(t.name)
	if t.root, err = s.openTree(t.name); err != nil {
		s.index.releaseTree(t.name)
		return nil, err
	}
	if err = m.check(t.root); err == nil {
		t.Path, err = s.disk.Path(treePath(t.name))
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// openTree opens a tree and locks it.
func (s *Store) openTree(name string) (disk.Subdir, error) {
	dir, err := s.disk.OpenDir(treePath(name))
	if err != nil {
		if info, e := s.disk.Lstat(treePath(name)); e == nil && !info.Mode.IsDir() {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, err
	}
	if err = lockShared(dir); err == nil {
		var info disk.Info
		if info, err = dir.Stat(); err == nil && !info.Linked {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// SweepTrees removes unused trees that no entry refers to, and the drafts of processes that
// have ended.
func (s *Store) SweepTrees() {
	names, err := s.disk.ReadDir(treeDir)
	if err != nil {
		s.faultUnlessNotExist(err)
		return
	}
	for _, name := range names {
		s.sweepTree(name)
	}
}

// sweepTree removes a directory in t/ if it is litter, and reports whether it did.
func (s *Store) sweepTree(name string) (removed bool) {
	if strings.HasPrefix(name, disk.TempPrefix) {
		return s.removeAbandoned(treePath(name))
	}
	if !isTreeName(name) {
		return false
	}
	remove, ok := s.lockTree(name)
	if !ok {
		return false
	}
	if e, _, err := s.read(entryOf(name)); err == nil && e.whole == treeCRC(name) || err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errEntry) {
		remove(false)
		return false
	}
	return remove(true)
}

// lockTree locks a tree, unless it is in use. The caller must call remove to unlock it.
// remove(true) removes the tree; remove reports whether it did.
func (s *Store) lockTree(name string) (remove func(bool) bool, ok bool) {
	if s.index.isTreeInUse(name) { // the file system may lack locks
		return nil, false
	}
	dir, err := s.disk.OpenDir(treePath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return func(remove bool) bool {
			if remove {
				s.budget.removedTree(name)
			}
			return false
		}, true
	}
	if err != nil {
		if info, e := s.disk.Lstat(treePath(name)); e != nil || info.Mode.IsDir() {
			return nil, false // it may be locked
		}
	} else if errors.Is(dir.Lock(true), disk.ErrLocked) {
		dir.Close()
		return nil, false
	}
	return func(remove bool) bool {
		if err == nil {
			if disk.CanLock {
				defer dir.Close()
			} else {
				dir.Close()
			}
		}
		return remove && s.removeTree(name)
	}, true
}

// removeTree removes a tree that the caller has locked, or another file with that name.
func (s *Store) removeTree(name string) bool {
	trash := treePath(disk.TempPrefix + strconv.FormatUint(clock.Random(), 16))
	if err := s.disk.Rename(treePath(name), trash); err != nil {
		s.faultUnlessNotExist(err)
		return false
	}
	s.budget.removedTree(name)
	s.fault(s.disk.RemoveAll(trash))
	return true
}

// treeOf returns the tree that an entry refers to, if this process knows it.
func (b *budget) treeOf(entry string, whole uint64) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name := b.trees[entryID(entry)]; name != "" && entryOf(name) == entry && treeCRC(name) == whole {
		return name
	}
	return ""
}

// hasTree reports whether an entry may have a tree.
func (b *budget) hasTree(entry string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trees[entryID(entry)] != ""
}

// useTree counts a published tree.
func (b *budget) useTree(name string) {
	r := treeRoom(name)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.added += r.bytes
	b.known.addTree(dataID(name), r)
	b.round.addTree(dataID(name), r)
	b.changed = b.changed.plus(r)
	b.knowTree(name)
}

// removedTree subtracts a removed tree from the sum.
func (b *budget) removedTree(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known.remove(dataID(name))
	b.round.remove(dataID(name))
	b.changed = b.changed.minus(treeRoom(name))
	if b.trees[entryID(name)] == name {
		delete(b.trees, entryID(name))
	}
}

// maxTrees bounds the memory for the names of trees. A tree with an unknown name is not
// evicted with its manifest; a later walk finds it as litter.
const maxTrees = 1024

func (b *budget) knowTree(name string) {
	if b.trees == nil || len(b.trees) >= maxTrees {
		b.trees = map[uint64]string{}
	}
	b.trees[entryID(name)] = name
}

// seeTree adds a name in t/ to the sum of the round.
func (b *budget) seeTree(name string) {
	path := treePath(name)
	if !isTreeName(name) {
		if strings.HasPrefix(name, disk.TempPrefix) { // it is locked while its process lives
			b.dispose(path)
		}
		return
	}
	if _, err := b.disk.Lstat(path); err != nil { // see disk.Listing
		return
	}
	b.round.addTree(dataID(name), treeRoom(name))
	other := b.trees[entryID(name)]
	if other != "" && other != name {
		b.dispose(treePath(other))
		b.dispose(path)
	}
	b.knowTree(name)
	info, err := b.disk.Lstat(entryPath(entryOf(name)))
	switch {
	case err == nil:
		b.pool.offer(newCandidate(entryOf(name), info))
	case errors.Is(err, fs.ErrNotExist):
		b.dispose(path)
	}
}
