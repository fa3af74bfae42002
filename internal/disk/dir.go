package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Dir is the private directory at a path. It is safe for concurrent use. Several
// processes may use the same directory.
type Dir struct {
	path string

	noTmpfile atomic.Bool // unnamed files cannot be linked here

	mu   sync.Mutex // held while opening the directory
	open atomic.Pointer[tree]
}

var _ FS = (*Dir)(nil)

// New returns the Dir at path. It does not access it.
func New(path string) *Dir { return &Dir{path: path} }

// tree is the open directory and its open subdirectories.
type tree struct {
	root *handle
	id   FileID   // only Dev and Ino are compared
	subs sync.Map // name -> *handle
}

// root returns the open directory.
func (d *Dir) root() (*tree, error) {
	if t := d.open.Load(); t != nil {
		return t, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.open.Load(); t != nil {
		return t, nil
	}
	h, err := openHandle(d.path)
	if errors.Is(err, errNotDirectory) {
		return nil, notPrivate(d.path, err)
	}
	if err != nil {
		return nil, err
	}
	info, err := h.stat()
	if err == nil {
		err = h.adopt(info)
	}
	if err != nil {
		h.close()
		return nil, notPrivate(d.path, err)
	}
	t := &tree{root: h, id: info.ID}
	d.open.Store(t)
	return t, nil
}

// adopt verifies that only its owner can use directory h, and that this user is the
// owner. Some file systems assign all files to one other user. adopt recognizes them by
// the owner of a new file that this process makes.
func (h *handle) adopt(info Info) error {
	if err := private(info.Mode); err != nil {
		return err
	}
	h.owner = info.uid
	if info.uid == euid() {
		return nil
	}
	probe, err := h.probe()
	if err != nil || probe != info.uid {
		return fmt.Errorf("it belongs to uid %d and this process is uid %d: remove it, or use another Dir", info.uid, euid())
	}
	return nil
}

func private(mode fs.FileMode) error {
	switch {
	case !mode.IsDir():
		return errNotDirectory
	case runtime.GOOS != "windows" && mode.Perm()&0o077 != 0:
		return fmt.Errorf("its mode is %v, which gives others access: remove it, or use another Dir", mode.Perm())
	}
	return nil
}

// notPrivate returns an ErrNotPrivate. It hides cause, which could match other errors.
func notPrivate(path string, cause error) error {
	return &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%w: %v", ErrNotPrivate, cause)}
}

// Check implements FS.
func (d *Dir) Check() error {
	t, err := d.root()
	if err != nil {
		return err
	}
	if d.leadsTo(t) {
		return nil
	}
	d.open.CompareAndSwap(t, nil)
	_, err = d.root()
	return err
}

// leadsTo reports whether the path still leads to t and t is still private.
func (d *Dir) leadsTo(t *tree) bool {
	info, err := lstat(d.path)
	return err == nil && info.same(t.id) && info.uid == t.root.owner && private(info.Mode) == nil
}

func (i Info) same(id FileID) bool { return i.ID.Dev == id.Dev && i.ID.Ino == id.Ino }

// sub returns an open subdirectory, which it opens if necessary.
func (t *tree) sub(name string) (*handle, error) {
	if h, ok := t.subs.Load(name); ok {
		return h.(*handle), nil
	}
	h, err := t.root.openDir(name)
	if err != nil {
		return nil, err
	}
	// Its mode does not matter, because other users cannot reach it.
	info, err := h.stat()
	if err == nil && !info.Ours {
		err = notPrivate(name, errors.New("it belongs to another user"))
	}
	if err != nil {
		h.close()
		return nil, err
	}
	if other, ok := t.subs.LoadOrStore(name, h); ok {
		h.close()
		return other.(*handle), nil
	}
	return h, nil
}

// resolve returns the parent directory of name, and name's last element.
func (d *Dir) resolve(name string) (*tree, *handle, string, error) {
	t, err := d.root()
	if err != nil {
		return nil, nil, "", err
	}
	dir, base, ok := strings.Cut(name, "/")
	if !ok {
		dir, base = "", name
	}
	if !plain(base) || ok && !plain(dir) {
		return nil, nil, "", &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if !ok {
		return t, t.root, base, nil
	}
	h, err := t.sub(dir)
	return t, h, base, err
}

// plain reports whether name is a single path element that leads nowhere else.
func plain(name string) bool {
	return name != "" && name != "." && name != ".." &&
		strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, '\\') < 0 // faster than ContainsAny
}

// at calls op with the parent directory and last element of name. If op finds nothing
// because the directory was removed or replaced, at opens the directory again and retries
// op once.
func (d *Dir) at(name string, op func(h *handle, base string) error) error {
	t, h, base, err := d.resolve(name)
	if err == nil {
		err = op(h, base)
	}
	if t == nil || !errors.Is(err, fs.ErrNotExist) || !d.drop(t, name) {
		return err
	}
	if _, h, base, err = d.resolve(name); err == nil {
		err = op(h, base)
	}
	return err
}

// drop closes the open directories in name's path that are no longer found by their
// names. It reports whether there were any.
func (d *Dir) drop(t *tree, name string) bool {
	if !d.leadsTo(t) {
		d.open.CompareAndSwap(t, nil)
		return true
	}
	dir, _, _ := strings.Cut(name, "/")
	h, ok := t.subs.Load(dir)
	if !ok {
		return false
	}
	opened, err := h.(*handle).stat()
	if err == nil {
		var there Info
		if there, err = t.root.lstat(dir); err == nil && there.same(opened.ID) {
			return false
		}
	}
	t.subs.CompareAndDelete(dir, h)
	return true
}

// Make implements FS.
func (d *Dir) Make() error {
	err := d.Check()
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	return d.Check()
}

// Mkdir implements FS.
func (d *Dir) Mkdir(name string) error {
	return d.at(name, func(h *handle, base string) error {
		err := h.mkdir(base)
		if err == nil {
			d.reopen(h, base)
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := h.lstat(base); err != nil || info.Mode.IsDir() {
			return err
		}
		if err := h.remove(base); err != nil { // a link or another file
			return err
		}
		return h.mkdir(base)
	})
}

// within returns the name of base in the subdirectory dir, or in the directory itself if
// dir is empty.
func within(dir, base string) string {
	if dir == "" {
		return base
	}
	return dir + "/" + base
}

// reopen forgets the open directory called name, because another one with that name has
// just been made.
func (d *Dir) reopen(h *handle, name string) {
	if t := d.open.Load(); t != nil && t.root == h {
		t.subs.Delete(name)
	}
}

// Lstat implements FS.
func (d *Dir) Lstat(name string) (info Info, err error) {
	err = d.at(name, func(h *handle, base string) (err error) {
		info, err = h.lstat(base)
		return err
	})
	return info, err
}

// Open implements FS. It does not use at, because the closure would add an allocation to
// each hit.
func (d *Dir) Open(name string) (File, error) {
	t, h, base, err := d.resolve(name)
	if err == nil {
		var f *file
		if f, err = h.open(base); err == nil {
			return f, nil
		}
	}
	if t == nil || !errors.Is(err, fs.ErrNotExist) || !d.drop(t, name) {
		return nil, err
	}
	if _, h, base, err = d.resolve(name); err != nil {
		return nil, err
	}
	f, err := h.open(base)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// OpenDir implements FS.
func (d *Dir) OpenDir(name string) (f Subdir, err error) {
	err = d.at(name, func(h *handle, base string) error {
		sub, err := h.openDir(base)
		if err == nil {
			f = dirFile{sub}
		}
		return err
	})
	return f, err
}

// Modify implements FS.
func (d *Dir) Modify(name string) (f Modifiable, err error) {
	err = d.at(name, func(h *handle, base string) (err error) {
		f, err = h.modify(base)
		return err
	})
	return f, err
}

// Remove implements FS.
func (d *Dir) Remove(name string) error {
	return d.at(name, func(h *handle, base string) error { return h.remove(base) })
}

// Rename implements FS.
func (d *Dir) Rename(from, to string) error {
	dir, base, _ := strings.Cut(to, "/")
	if of, _, _ := strings.Cut(from, "/"); of != dir || !plain(base) {
		return &fs.PathError{Op: "rename", Path: to, Err: fs.ErrInvalid}
	}
	return d.at(from, func(h *handle, name string) error { return h.rename(name, base) })
}

// RemoveAll implements FS.
func (d *Dir) RemoveAll(name string) error {
	err := d.at(name, func(h *handle, base string) error { return h.removeAll(base) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ReadDir implements FS.
func (d *Dir) ReadDir(name string) (names []string, err error) {
	err = d.at(within(name, ".dir"), func(h *handle, _ string) (err error) {
		names, err = h.names()
		return err
	})
	return names, err
}

// List implements FS.
func (d *Dir) List(name string) (l Listing, err error) {
	err = d.at(name+"/.dir", func(h *handle, _ string) (err error) {
		l, err = h.list()
		return err
	})
	return l, err
}

// Touch implements FS.
func (d *Dir) Touch(name string, at time.Time) error {
	return d.at(name, func(h *handle, base string) error { return h.touch(base, at) })
}

// Space implements FS. If the directory does not exist yet, it describes the file system
// that the directory would be on.
func (d *Dir) Space() (Space, error) {
	t, err := d.root()
	switch {
	case err == nil:
		return t.root.statfs()
	case errors.Is(err, fs.ErrNotExist):
		return statfs(filepath.Dir(d.path))
	}
	return Space{}, err
}

// Locks implements FS. If name is not a regular file, it is removed.
func (d *Dir) Locks(name string) (l Locks, err error) {
	err = d.at(name, func(h *handle, base string) (err error) {
		if l, err = h.locks(base); errors.Is(err, errNotRegular) {
			if err = h.removeAll(base); err == nil {
				l, err = h.locks(base)
			}
		}
		return err
	})
	return l, err
}

// Create implements FS.
func (d *Dir) Create(dir string, size int64) (f NewFile, err error) {
	err = d.at(within(dir, ".new"), func(h *handle, _ string) (err error) {
		f, err = create(h, size, &d.noTmpfile)
		return err
	})
	return f, err
}

// Path implements FS.
func (d *Dir) Path(name string) (string, error) {
	if _, err := d.Lstat(name); err != nil {
		return "", err
	}
	// Other users cannot redirect paths below the directory.
	if t, err := d.root(); err != nil {
		return "", err
	} else if !d.leadsTo(t) {
		return "", notPrivate(d.path, errors.New("its path now leads to another directory"))
	}
	return filepath.Join(d.path, filepath.FromSlash(name)), nil
}
