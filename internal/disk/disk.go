// Package disk is a private directory as a cache uses it: one that nobody else can
// read, change or redirect.
//
// A [Dir] opens the directory once, verifies it on its descriptor, and does
// everything below it relative to that descriptor. So it does not matter what
// others do to the path: a link, a directory of theirs, or one that they swap in
// between two system calls. A directory that fails the check is never read, listed
// or changed.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
	"time"
)

// FS is a private directory. Tests use an implementation whose calls fail.
//
// Names are "x" or "dir/x": there is one level of subdirectories.
type FS interface {
	// Check verifies the directory, and that its path still leads to it. An error
	// that matches fs.ErrNotExist means that there is none.
	Check() error
	Make() error                            // the directory, with its parents, unless it exists
	Mkdir(name string) error                // 0700; an existing one is fine
	Lstat(name string) (Info, error)        //
	Open(name string) (File, error)         // for reading, without following links and without waiting for a FIFO
	OpenDir(name string) (Subdir, error)    //
	Rename(from, to string) error           // within one subdirectory
	Modify(name string) (Modifiable, error) // Open for reading and writing
	Remove(name string) error               // a file or an empty directory
	RemoveAll(name string) error            // a file, or a directory with all that is in it
	ReadDir(name string) ([]string, error)  // of a subdirectory, or "" for the directory itself
	List(name string) (Listing, error)      // ReadDir, some names at a time
	Touch(name string, t time.Time) error   // sets the modification time
	Space() (Space, error)
	Locks(name string) (Locks, error) // makes the file if it is missing

	// Create makes a new file in a subdirectory, or in "", the directory itself, with
	// room for size bytes.
	Create(dir string, size int64) (NewFile, error)

	// Path returns the path of name for other programs. It fails if the path does
	// not lead to what is below the descriptor.
	Path(name string) (string, error)
}

// A Listing reads the names in a directory. Names that come or go meanwhile may be
// among them, even a while after they have gone: ext4 reads ahead.
type Listing interface {
	// Next returns some names, or io.EOF after the last.
	Next() ([]string, error)
	io.Closer
}

// A File is open for reading.
type File interface {
	io.ReaderAt
	io.Closer
	Stat() (Info, error)
	// Lock takes a shared lock for as long as the file is open, or an exclusive
	// one. It does not wait: see ErrLocked.
	Lock(exclusive bool) error
}

// A Subdir is an open directory of the private one, at any depth: its subdirectories
// are opened by it, one element at a time, and no link is followed.
type Subdir interface {
	File // to Lock it
	Names() ([]string, error)
	Lstat(name string) (Info, error)
	OpenDir(name string) (Subdir, error)
	Mkdir(name string) error // fails if name exists
	Touch(name string, t time.Time) error
	// Create makes a file that cannot be modified any more once it is closed.
	Create(name string, executable bool) (io.WriteCloser, error)
	// Seal makes the directory refuse other files than it has, from all but root.
	Seal() error
}

// A Modifiable is a File that can be written to.
type Modifiable interface {
	File
	io.WriterAt
}

// A NewFile is under construction. No reader finds it before Publish or Replace,
// and Close without them leaves nothing.
type NewFile interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer
	// Allocated reports whether the file system has reserved the room already.
	Allocated() bool
	// Publish gives the file its name in the directory that it was made in. It
	// fails if the name exists.
	Publish(name string) error
	// Replace gives the file its name, whether or not the name exists.
	Replace(name string) error
	// MakeModifiable makes Modify possible after the file is published.
	MakeModifiable() error
}

// Locks are the bytes of a file, each of which can be locked by one process.
type Locks interface {
	// Acquire locks a byte until Close. It does not wait: see ErrLocked.
	Acquire(n int64) error
	io.Closer
}

// Info describes a file.
type Info struct {
	Mode    fs.FileMode
	Size    int64
	ModTime time.Time
	ID      FileID
	Ours    bool // it belongs to the owner of the directory
	Linked  bool // it has a name

	uid uint32
}

// Private reports whether the file is a regular one of ours. Other files in the
// directory were not made by this package.
func (i Info) Private() bool { return i.Mode.IsRegular() && i.Ours }

// FileID changes when a file is changed or replaced by another.
type FileID struct {
	Dev, Ino           uint64
	Size, Mtime, Ctime int64 // times in Unix nanoseconds
}

// Space is the size of a file system.
type Space struct {
	Total, Free        int64 // bytes
	Inodes, FreeInodes int64 // how many files there can be; Inodes zero: any number
	Memory             bool  // it is made of memory, as /tmp on some hosts
}

// IsFull reports whether err is that a file system, or this user's share of it, has no
// room for more bytes or files.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ErrLocked is the error of a lock that another File or process has. Any other
// error of a lock means that the file system has no locks.
var ErrLocked = errors.New("locked by another")

// ErrNotPrivate is the error of a directory that is not used because others could
// read or change it.
var ErrNotPrivate = errors.New("not a private directory")

var (
	errNotDirectory = errors.New("it is not a directory")
	errNotRegular   = errors.New("not a regular file")
)
