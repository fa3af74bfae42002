package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// layout names the files in the private directory:
//
//	e/<SHA-256 of the Key>            entries, with small objects' bytes, replaced by rename
//	d/<entry's name>-<size>-<random>  data of larger objects, written once
//	turns                             empty: see downloadlock.go
//	s/                                work space: see scratch.go
//	t/                                unpacked archives: see tree.go
//
// The first two are flat, because file systems index names. Shards would cost a mkdir for
// nearly every new copy, and 256 directories to read for every sum.
type layout struct {
	disk disk.FS
}

// ErrDamaged means that a copy's bytes are not those that were written.
var ErrDamaged = errors.New("damaged data file")

// create makes a new file in dir, and creates dir if it is missing.
func (l *layout) create(dir string, size int64) (disk.NewFile, error) {
	err := l.disk.Check()
	if err == nil {
		var f disk.NewFile
		if f, err = l.disk.Create(dir, size); err == nil {
			return f, nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, disk.ErrNotPrivate) {
		return nil, err
	}
	if err := l.makeDir(dir); err != nil {
		return nil, err
	}
	return l.disk.Create(dir, size)
}

func (l *layout) makeDir(name string) error {
	if err := l.disk.Make(); err != nil {
		return err
	}
	return l.disk.Mkdir(name)
}

// read returns an entry by name, with its file's Info. The file's modification time is
// the entry's last use. If there is no entry, the error matches fs.ErrNotExist.
func (l *layout) read(name string) (*entry, disk.Info, error) {
	f, err := l.open(entryPath(name), errEntry)
	if err != nil {
		return nil, disk.Info{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, disk.Info{}, err
	}
	e, err := readEntry(f, info, name)
	return e, info, err
}

// readEntry reads the entry called name from its file.
func readEntry(f io.ReaderAt, info disk.Info, name string) (*entry, error) {
	bad := func(why string) error {
		return &fs.PathError{Op: "read", Path: entryPath(name), Err: fmt.Errorf("%w: %s", errEntry, why)}
	}
	if !info.Private() || info.Size > maxEntry+blocks.MinSize {
		return nil, bad("not a file that was written")
	}
	b := make([]byte, min(info.Size, 1<<10)) // most entries are shorter
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	length := encodedLength(b)
	if length > min(info.Size, maxEntry) {
		return nil, bad("too short")
	}
	if read := int64(len(b)); length > read {
		b = append(b, make([]byte, length-read)...)
		if n, err := f.ReadAt(b[read:], read); n < len(b[read:]) {
			return nil, err
		}
	}
	e, err := decodeEntry(b[:length])
	switch {
	case err != nil:
		return nil, err
	case e.key.entryName() != name:
		return nil, bad("of another object")
	case e.fileSize() != info.Size:
		return nil, bad("not of its size")
	}
	return e, nil
}

// readKey checks the directory and then reads the entry of k.
func (l *layout) readKey(k Key) (*entry, disk.Info, error) {
	if err := l.disk.Check(); err != nil {
		return nil, disk.Info{}, err
	}
	return l.read(k.entryName())
}

// open opens a file for reading. If the path is not a regular file, or its mode forbids
// reading, the error also matches damaged: a retry cannot succeed.
func (l *layout) open(path string, damaged error) (disk.File, error) {
	f, err := l.disk.Open(path)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if info, e := l.disk.Lstat(path); e == nil && (!info.Mode.IsRegular() || info.Mode.Perm()&0o400 == 0) {
		err = fmt.Errorf("%w: %w", damaged, err)
	}
	return nil, err
}

// add gives f the name of an entry, and returns the entry that it replaced, if any.
func (l *layout) add(f disk.NewFile, name string) (old *entry, err error) {
	err = f.Publish(name)
	if errors.Is(err, fs.ErrExist) {
		old, _, _ = l.read(name)
		err = l.replace(f, name)
	}
	return old, err
}

// build makes the file of an entry, still without a name. small is the content of an
// inline object.
func (l *layout) build(e *entry, small []byte) (disk.NewFile, error) {
	b := e.encode()
	if len(b) > maxEntry {
		return nil, fmt.Errorf("entry of %v has %d bytes, the maximum is %d", e.key, len(b), maxEntry)
	}
	f, err := l.create(entryDir, int64(len(b)+len(small)))
	if err != nil {
		return nil, err
	}
	if len(small) <= cap(b)-len(b) {
		b, small = append(b, small...), nil // saves a call
	}
	if err = writeAll(f, b); err == nil && len(small) > 0 {
		err = writeAll(f, small)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	if !e.inline {
		f.MakeModifiable() // marks it for mayReferTo; an error only costs time
	}
	return f, nil
}

// mayReferTo reports whether the entry in a file may refer to a data file, judging by its
// mode alone. It is wrong on file systems without modes.
func mayReferTo(info disk.Info) bool { return info.Mode.Perm()&0o200 != 0 }

// replace gives f the name of an entry. If a directory has the name, replace removes it,
// since a rename cannot.
func (l *layout) replace(f disk.NewFile, name string) error {
	err := f.Replace(name)
	if err == nil {
		return nil
	}
	if info, e := l.disk.Lstat(entryPath(name)); e == nil && info.Mode.IsDir() && l.disk.Remove(entryPath(name)) == nil {
		err = f.Replace(name)
	}
	return err
}

// openData opens a data file of size bytes. If anything else is in its place, the error
// matches ErrDamaged.
func (l *layout) openData(path string, size int64) (disk.File, disk.Info, error) {
	f, err := l.open(path, ErrDamaged)
	if err != nil {
		return nil, disk.Info{}, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Private() || info.Size != size) {
		err = &fs.PathError{Op: "check", Path: path, Err: fmt.Errorf("%w: not the file that was written", ErrDamaged)}
	}
	if err != nil {
		f.Close()
		return nil, disk.Info{}, err
	}
	return f, info, nil
}

// exclusively calls do unless a program has the path of the data file; then it returns
// false. No program can get the path while do runs.
func (l *layout) exclusively(data string, do func()) bool {
	if !disk.CanLock {
		do()
		return true
	}
	f, err := l.open(dataPath(data), ErrDamaged)
	switch {
	case err == nil:
		defer f.Close()
		if errors.Is(f.Lock(true), disk.ErrLocked) {
			return false
		}
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDamaged):
		return false // another process may have locked it
	}
	do()
	return true
}

// unlink removes an unreferenced data file, unless a program has its path. A later walk
// removes that. It reports whether the file is removed.
func (l *layout) unlink(data string) (removed bool) {
	l.exclusively(data, func() { removed = l.remove(dataPath(data)) == nil })
	return removed
}

// pinned reports whether a program has the path of a data file.
func (l *layout) pinned(data string) bool { return !l.exclusively(data, func() {}) }

// remove removes a file. A missing file is not an error.
func (l *layout) remove(path string) error {
	return ignoreNotExist(l.disk.Remove(path))
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func writeAll(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// DefaultPath names the private directory in dir, or in the system's temporary directory
// if dir is empty. The name contains the user. It also contains the function and version
// if the host provides them, so a new version starts empty. The path is absolute, so it
// stays valid when the process changes its working directory.
func DefaultPath(dir string) string {
	name := "warmcache.v2." + fmt.Sprint(os.Geteuid())
	if dir == "" {
		dir = os.TempDir()
		for _, v := range []string{"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "__OW_ACTION_NAME", "__OW_ACTION_VERSION"} {
			if s := os.Getenv(v); s != "" {
				name += "." + fileName(s)
			}
		}
	}
	path := filepath.Join(dir, name)
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return path
}

// fileName converts s to a short plain file name.
func fileName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			b[i] = '_'
		}
	}
	return string(b[:min(len(b), 64)])
}
