package filecache

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// disk is the file system as this package uses it. Tests put one in its place
// whose calls fail.
type disk interface {
	Mkdir(path string) error // 0700; an existing one is fine
	Lstat(path string) (fs.FileInfo, error)
	Open(path string) (file, error)                 // for reading; never through a symbolic link
	Create(dir string, size int64) (newFile, error) // with room for size bytes
	Remove(path string) error
	ReadDir(path string) ([]string, error) // the names
	Touch(path string, t time.Time) error
	Space(path string) (space, error)
}

// file is a file open for reading.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
	// Lock takes a shared lock for as long as the file is open, or an
	// exclusive one; it does not wait.
	Lock(exclusive bool) error
}

// newFile is a file under construction. Until Publish it is not found by any
// name that a reader looks for, and Close without Publish leaves nothing.
type newFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
	// Publish gives the file its name. It fails if the name exists.
	Publish(path string) error
	// Replace gives the file its name and takes it from who has it.
	Replace(path string) error
}

// space is what a file system has, in bytes.
type space struct {
	total, free int64
	memory      bool // it is made of memory, as /tmp on some hosts
}

// osDisk is the real one. What differs between systems is in disk_*.go.
type osDisk struct{}

func (osDisk) Mkdir(path string) error {
	err := os.Mkdir(path, 0o700)
	if os.IsExist(err) {
		return nil
	}
	return err
}

func (osDisk) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }
func (osDisk) Remove(path string) error               { return os.Remove(path) }
func (osDisk) Space(path string) (space, error)       { return statfs(path) }

func (osDisk) Touch(path string, t time.Time) error {
	return os.Chtimes(path, time.Time{}, t)
}

func (osDisk) Open(path string) (file, error) {
	// A FIFO in the place of a file must not block: O_NONBLOCK.
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osDisk) ReadDir(path string) ([]string, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

func (osDisk) Create(dir string, size int64) (newFile, error) {
	f, err := createUnnamed(dir)
	if err != nil {
		// Not on this system, or not on this file system.
		f, err = createTemp(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := allocate(f.File, size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

type osFile struct{ *os.File }

func (f osFile) Lock(exclusive bool) error { return lock(f.File, exclusive) }

// buildFile is a file under construction, with or without a name.
type buildFile struct {
	*os.File
	temp string // its name until it is published; empty if it has none
}

// tempPrefix starts the names of files under construction.
const tempPrefix = ".tmp-"

func tempPath(dir string) string {
	return filepath.Join(dir, tempPrefix+strconv.FormatUint(rand.Uint64(), 16))
}

func createTemp(dir string) (*buildFile, error) {
	for {
		path := tempPath(dir)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &buildFile{f, path}, nil
	}
}

func (f *buildFile) Publish(path string) error {
	if f.temp == "" {
		return linkUnnamed(f.File, path)
	}
	if _, err := os.Lstat(path); err == nil {
		return &os.LinkError{Op: "rename", Old: f.temp, New: path, Err: fs.ErrExist}
	}
	return f.rename(path) // names are random: nobody has taken it since
}

func (f *buildFile) Replace(path string) error {
	if f.temp == "" { // only a rename takes a name over
		temp := tempPath(filepath.Dir(path))
		if err := linkUnnamed(f.File, temp); err != nil {
			return err
		}
		f.temp = temp
	}
	return f.rename(path)
}

func (f *buildFile) rename(path string) error {
	if err := os.Rename(f.temp, path); err != nil {
		return err
	}
	f.temp = ""
	return nil
}

func (f *buildFile) Close() error {
	if f.temp != "" {
		os.Remove(f.temp)
	}
	return f.File.Close()
}
