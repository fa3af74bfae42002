package filecache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// store keeps entries and data files in a private directory:
//
//	<root>/e/<SHA-256 of the ID>            entries, replaced by rename
//	<root>/d/<CRC-64>-<size>-<random>       data, written once
//	<root>/turns                            empty: see turn.go
//	<root>/s/                               work space: see scratch.go
//
// The first two are flat. File systems index names; what shards would cost is a mkdir for
// nearly every put and 256 directories to read for every sum.
type store struct {
	disk disk
	root string
}

func (s *store) entries() string              { return filepath.Join(s.root, "e") }
func (s *store) data() string                 { return filepath.Join(s.root, "d") }
func (s *store) entryPath(name string) string { return filepath.Join(s.root, "e", name) }
func (s *store) dataPath(name string) string  { return filepath.Join(s.root, "d", name) }

// check makes sure that the directory is a real one that belongs to this user
// alone: /tmp is everybody's, and anybody may have put something in its place.
func (s *store) check() error {
	fi, err := s.disk.Lstat(s.root)
	switch {
	case err != nil:
		return err
	case !fi.IsDir():
		return &fs.PathError{Op: "check", Path: s.root, Err: errors.New("not a directory")}
	case !ours(fi):
		return &fs.PathError{Op: "check", Path: s.root, Err: errors.New("belongs to another user")}
	case runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0:
		return &fs.PathError{Op: "check", Path: s.root, Err: fmt.Errorf("mode is %v: others may get at it", fi.Mode().Perm())}
	}
	return nil
}

// create makes a new file in one of the two directories, and what is missing of
// them.
func (s *store) create(dir string, size int64) (newFile, error) {
	err := s.check()
	if err == nil {
		var f newFile
		if f, err = s.disk.Create(dir, size); err == nil {
			return f, nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := s.mkdirAll(s.root); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := s.disk.Mkdir(dir); err != nil {
		return nil, err
	}
	return s.disk.Create(dir, size)
}

// mkdirAll makes a directory with its parents, for a Dir that the user named.
func (s *store) mkdirAll(path string) error {
	err := s.disk.Mkdir(path)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		if err := s.mkdirAll(filepath.Dir(path)); err != nil {
			return err
		}
		err = s.disk.Mkdir(path)
	}
	return err
}

// read returns the entry of that name, and when it was last used. There being
// none is an error that matches fs.ErrNotExist.
func (s *store) read(name string) (*entry, time.Time, error) {
	f, err := s.open(s.entryPath(name), errEntry)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxEntry || !ours(fi) {
		return nil, time.Time{}, &fs.PathError{Op: "read", Path: s.entryPath(name), Err: errEntry}
	}
	b := make([]byte, fi.Size())
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, time.Time{}, err
	}
	e, err := decodeEntry(b)
	if err == nil && entryName(e.id) != name {
		err = fmt.Errorf("%w: of another object", errEntry)
	}
	return e, fi.ModTime(), err
}

// open opens a file for reading. If it cannot be opened because it is no file at
// all, or because of its own mode, the error is damaged too: nothing that passes by
// itself.
func (s *store) open(path string, damaged error) (file, error) {
	f, err := s.disk.Open(path)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if fi, e := s.disk.Lstat(path); e == nil && (!fi.Mode().IsRegular() || fi.Mode().Perm()&0o400 == 0) {
		err = fmt.Errorf("%w: %w", damaged, err)
	}
	return nil, err
}

// add writes e, and returns the entry whose place it took, if there was one.
func (s *store) add(e *entry) (old *entry, err error) {
	f, err := s.build(e)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	name := entryName(e.id)
	err = f.Publish(s.entryPath(name))
	if errors.Is(err, fs.ErrExist) {
		old, _, _ = s.read(name)
		err = s.replace(f, name)
	}
	return old, err
}

// write puts e in the place of what is there under its name.
func (s *store) write(e *entry) error {
	f, err := s.build(e)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.replace(f, entryName(e.id))
}

// build makes the file of an entry, without its name.
func (s *store) build(e *entry) (newFile, error) {
	b := e.encode()
	if len(b) > maxEntry {
		return nil, fmt.Errorf("entry of %v has %d bytes, at most %d are allowed", e.id, len(b), maxEntry)
	}
	f, err := s.create(s.entries(), int64(len(b)))
	if err != nil {
		return nil, err
	}
	if err := writeAll(f, b); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// replace gives f the name of an entry.
func (s *store) replace(f newFile, name string) error {
	path := s.entryPath(name)
	err := f.Replace(path)
	if err == nil {
		return nil
	}
	if fi, e := s.disk.Lstat(path); e == nil && fi.IsDir() && s.disk.Remove(path) == nil {
		err = f.Replace(path) // a directory cannot be replaced, and would be in the way for ever
	}
	return err
}

// openData opens a data file of that size. What is there in its place is an
// errDamaged.
func (s *store) openData(name string, size int64) (file, stamp, error) {
	path := s.dataPath(name)
	f, err := s.open(path, errDamaged)
	if err != nil {
		return nil, stamp{}, err
	}
	fi, err := f.Stat()
	if err == nil && (!fi.Mode().IsRegular() || fi.Size() != size || !ours(fi)) {
		err = &fs.PathError{Op: "check", Path: path, Err: fmt.Errorf("%w: not the file that was written", errDamaged)}
	}
	if err != nil {
		f.Close()
		return nil, stamp{}, err
	}
	return f, stampOf(fi), nil
}

// exclusively does what must not happen to a data file while a program has its
// path, unless one has: then it reports false. While do runs, nobody can get it.
func (s *store) exclusively(data string, do func()) bool {
	if !canLock {
		do()
		return true
	}
	f, err := s.open(s.dataPath(data), errDamaged)
	switch {
	case err == nil:
		defer f.Close()
		if errors.Is(f.Lock(true), errLocked) {
			return false
		}
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDamaged):
		return false // it may be a file that somebody has locked
	}
	do()
	return true
}

// errLocked is the error of a lock that somebody else has. Any other one means
// that there are no locks.
var errLocked = errors.New("locked by another")

// unlink removes a data file that no entry refers to any more, unless a program
// has its path: then a later sweep does. It reports whether the file is gone.
func (s *store) unlink(data string) (gone bool) {
	s.exclusively(data, func() { gone = s.remove(s.dataPath(data)) == nil })
	return gone
}

// pinned reports whether a program has the path of a data file.
func (s *store) pinned(data string) bool { return !s.exclusively(data, func() {}) }

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// remove removes a file; that there is none is as good.
func (s *store) remove(path string) error {
	return ignoreNotExist(s.disk.Remove(path))
}

func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// defaultRoot names the directory: private to the user, and to the function and
// version where the host tells them, so that a new version starts afresh. It stays
// the same when the process changes its working directory.
func defaultRoot(dir string) string {
	name := "warmcache.v1." + fmt.Sprint(os.Geteuid())
	if dir == "" {
		dir = os.TempDir()
		for _, v := range []string{"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "__OW_ACTION_NAME", "__OW_ACTION_VERSION"} {
			if s := os.Getenv(v); s != "" {
				name += "." + fileName(s)
			}
		}
	}
	root := filepath.Join(dir, name)
	if abs, err := filepath.Abs(root); err == nil {
		root = abs
	}
	return root
}

// fileName makes a short plain file name of s.
func fileName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			b[i] = '_'
		}
	}
	return string(b[:min(len(b), 64)])
}
