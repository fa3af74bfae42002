// Package disk implements a cache's private directory, which other users cannot read,
// change or redirect.
//
// A [Dir] opens the directory once, verifies it through its descriptor, and accesses
// everything below relative to that descriptor. So other users cannot interfere through
// the path: not with a link, not with a directory of their own, and not by exchanging
// directories between two system calls. A directory that fails the check is never read,
// listed or changed.
package disk

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
	"time"
)

// FS is a private directory. Tests use an implementation with failing calls.
//
// Names are "x" or "dir/x": there is one level of subdirectories.
type FS interface {
	// Check verifies the directory, and that its path still leads to it. If there is no
	// directory, the error matches fs.ErrNotExist.
	Check() error
	Make() error                            // makes the directory and its parents, unless it exists
	Mkdir(name string) error                // 0700; an existing one is fine
	Lstat(name string) (Info, error)        //
	Open(name string) (File, error)         // for reading; does not follow links or wait for a FIFO
	OpenDir(name string) (Subdir, error)    //
	Rename(from, to string) error           // within one subdirectory
	Modify(name string) (Modifiable, error) // opens the file for reading and writing
	Remove(name string) error               // a file or an empty directory
	RemoveAll(name string) error            // a file, or a directory with its contents
	ReadDir(name string) ([]string, error)  // of a subdirectory; "" is the directory itself
	List(name string) (Listing, error)      // like ReadDir, some names at a time
	Touch(name string, t time.Time) error   // sets the modification time
	Space() (Space, error)
	Locks(name string) (Locks, error) // creates the file if it is missing

	// Create makes a new file in a subdirectory, with room for size bytes. "" is the
	// directory itself.
	Create(dir string, size int64) (NewFile, error)

	// Path returns the path of name for other programs. It fails if the path does not
	// lead to the open directory.
	Path(name string) (string, error)
}

// A Listing reads the names in a directory. It may include names that are created or
// removed meanwhile, or that were removed a while ago: ext4 reads ahead.
type Listing interface {
	// Next returns some names, or io.EOF after the last.
	Next() ([]string, error)
	io.Closer
}

// A File is an open file for reading.
type File interface {
	io.ReaderAt
	io.Closer
	Stat() (Info, error)
	// Lock acquires a shared or an exclusive lock until Close. If another File holds a
	// conflicting lock, it returns ErrLocked at once.
	Lock(exclusive bool) error
}

// A Subdir is an open directory at any depth of the private one. It opens its
// subdirectories one path element at a time, and follows no links.
type Subdir interface {
	File // for Lock
	Names() ([]string, error)
	Lstat(name string) (Info, error)
	OpenDir(name string) (Subdir, error)
	Mkdir(name string) error // fails if name exists
	Touch(name string, t time.Time) error
	// Create makes a file that cannot be modified once it is closed.
	Create(name string, executable bool) (io.WriteCloser, error)
	// Seal makes the directory read-only for all users but root.
	Seal() error
}

// A Modifiable is a File that can also be written.
type Modifiable interface {
	File
	io.WriterAt
}

// A NewFile is under construction. Readers find it only after Publish or Replace. Without
// them, Close leaves nothing behind.
type NewFile interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer
	// Allocated reports whether the file system has already reserved the room.
	Allocated() bool
	// Publish gives the file a name in its directory. It fails if the name exists.
	Publish(name string) error
	// Replace gives the file a name, which may exist.
	Replace(name string) error
	// ID returns the ID that a File will have once the file has its name.
	ID() (FileID, error)
	// MakeModifiable lets Modify open the file after it is published.
	MakeModifiable() error
}

// Locks is a file each of whose bytes can be locked by one process.
type Locks interface {
	// Acquire locks byte n until Close. If another process holds it, Acquire returns
	// ErrLocked at once.
	Acquire(n int64) error
	io.Closer
}

// Info describes a file.
type Info struct {
	Mode    fs.FileMode
	Size    int64
	ModTime time.Time
	ID      FileID
	Ours    bool // it has the same owner as the directory
	Linked  bool // it has a name

	uid uint32
}

// Private reports whether the file is a regular file with the directory's owner. This
// package made no other files in the directory.
func (i Info) Private() bool { return i.Mode.IsRegular() && i.Ours }

// A FileID changes when the file is modified or replaced.
type FileID struct {
	Dev, Ino           uint64
	Size, Mtime, Ctime int64 // times in Unix nanoseconds
}

// Space describes a file system.
type Space struct {
	Total, Free        int64 // bytes
	Inodes, FreeInodes int64 // maximum number of files, and free ones; zero Inodes means no limit
	Memory             bool  // it is in memory, like /tmp on some hosts
}

// IsFull reports whether err means that the file system is full, or the user's quota is.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ErrLocked means that another File or process holds the lock. Any other error of a lock
// means that the file system has no locks.
var ErrLocked = errors.New("another process or file holds the lock")

// ErrNotPrivate means that the directory is not used because other users could read or
// change it.
var ErrNotPrivate = errors.New("not a private directory")

var (
	errNotDirectory = errors.New("it is not a directory")
	errNotRegular   = errors.New("not a regular file")
)
