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
//
// Both are flat. File systems index names; what shards would cost is a mkdir for
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
	f, err := s.disk.Open(s.entryPath(name))
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

// write puts e in the place of what was there under its name.
func (s *store) write(e *entry) error {
	b := e.encode()
	if len(b) > maxEntry {
		return fmt.Errorf("entry of %v has %d bytes, at most %d are allowed", e.id, len(b), maxEntry)
	}
	f, err := s.create(s.entries(), int64(len(b)))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeAll(f, b); err != nil {
		return err
	}
	return f.Replace(s.entryPath(entryName(e.id)))
}

// unlink removes a data file that no entry refers to any more, unless another
// program has its path: then a later sweep does. It reports whether the file is
// gone.
func (s *store) unlink(data string) bool {
	return !s.pinned(data) && s.remove(s.dataPath(data)) == nil
}

// pinned reports whether a process holds the path of a data file.
func (s *store) pinned(data string) bool {
	f, err := s.disk.Open(s.dataPath(data))
	if err != nil {
		return false // what cannot be opened is held by nobody
	}
	defer f.Close()
	return f.Lock(true) != nil
}

// clear removes all entries, then all data but what other programs have paths of.
func (s *store) clear() error {
	if err := s.check(); err != nil {
		return ignoreNotExist(err)
	}
	names, err := s.disk.ReadDir(s.entries())
	if err != nil {
		return ignoreNotExist(err)
	}
	for _, name := range names {
		err = errors.Join(err, s.remove(s.entryPath(name)))
	}
	names, derr := s.disk.ReadDir(s.data())
	for _, name := range names {
		s.unlink(name)
	}
	return errors.Join(err, ignoreNotExist(derr))
}

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
// version where the host tells them, so that a new version starts afresh.
func defaultRoot(dir string) string {
	name := "warmcache.v1." + fmt.Sprint(os.Geteuid())
	if dir != "" {
		return filepath.Join(dir, name)
	}
	for _, v := range []string{"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "__OW_ACTION_NAME", "__OW_ACTION_VERSION"} {
		if s := os.Getenv(v); s != "" {
			name += "." + fileName(s)
		}
	}
	return filepath.Join(os.TempDir(), name)
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
