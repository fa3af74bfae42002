package filecache

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
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
	Turns(path string) (turns, error) // makes the file if it is missing
}

// file is a file open for reading.
type file interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
	// Lock takes a shared lock for as long as the file is open, or an
	// exclusive one. It does not wait: see errLocked.
	Lock(exclusive bool) error
}

// newFile is a file under construction. Until Publish it is not found by any
// name that a reader looks for, and Close without Publish leaves nothing.
type newFile interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer
	// Allocated reports whether the room is taken from the file system already.
	Allocated() bool
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
type osDisk struct {
	named *atomic.Bool // files without a name cannot be given one here
}

func newDisk() osDisk { return osDisk{named: new(atomic.Bool)} }

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

func (d osDisk) Create(dir string, size int64) (newFile, error) {
	f, err := d.create(dir)
	if err != nil {
		return nil, err
	}
	if f.allocated, err = allocate(f.File, size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (d osDisk) create(dir string) (*buildFile, error) {
	if d.named == nil || !d.named.Load() {
		if f, err := createUnnamed(dir); err == nil {
			return &buildFile{File: f, named: d.named}, nil
		}
	}
	return createTemp(dir) // the other is not on this system, or not on this file system
}

type osFile struct{ *os.File }

func (f osFile) Lock(exclusive bool) error { return lock(f.File, exclusive) }

// buildFile is a file under construction, with or without a name.
type buildFile struct {
	*os.File
	temp      string // its name until it is published; empty if it has none
	named     *atomic.Bool
	allocated bool
	closed    bool
}

// tempPrefix starts the names of files under construction, and ownTemps those of
// this process.
const tempPrefix = ".tmp-"

var ownTemps = sync.OnceValue(func() string {
	return tempPrefix + strconv.FormatUint(rand.Uint64(), 16) + "-"
})

func tempPath(dir string) string {
	return filepath.Join(dir, ownTemps()+strconv.FormatUint(rand.Uint64(), 16))
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
		return &buildFile{File: f, temp: path}, nil
	}
}

func (f *buildFile) Allocated() bool { return f.allocated }

func (f *buildFile) Publish(path string) error {
	if f.temp == "" {
		return f.link(path)
	}
	if _, err := os.Lstat(path); err == nil {
		return &os.LinkError{Op: "rename", Old: f.temp, New: path, Err: fs.ErrExist}
	}
	return f.rename(path) // names are random: nobody has taken it since
}

func (f *buildFile) Replace(path string) error {
	if f.temp == "" { // only a rename takes a name over
		temp := tempPath(filepath.Dir(path))
		if err := f.link(temp); err != nil {
			return err
		}
		f.temp = temp
	}
	return f.rename(path)
}

// link gives an unnamed file a name. Where that cannot be, later files have one
// from the start.
func (f *buildFile) link(path string) error {
	err := linkUnnamed(f.File, path)
	if err != nil && f.named != nil && !canLink(f.File, err) {
		f.named.Store(true)
	}
	return err
}

func (f *buildFile) rename(path string) error {
	if !canRenameOpen {
		f.closed = true
		if err := f.File.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(f.temp, path); err != nil {
		return err
	}
	f.temp = ""
	return nil
}

func (f *buildFile) Close() error {
	var err error
	if !f.closed {
		f.closed = true
		err = f.File.Close()
	}
	if f.temp != "" {
		os.Remove(f.temp)
	}
	return err
}
