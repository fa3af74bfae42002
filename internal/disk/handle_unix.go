//go:build unix

package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// CanReplaceOpen reports whether an open file can be renamed, or replaced by another.
const CanReplaceOpen = true

// CanLock reports whether this system supports locks on files.
const CanLock = true

// fileMode prevents programs that get a path from writing to the file. The descriptor of
// a new file stays writable.
const fileMode = 0o400

var euid = sync.OnceValue(func() uint32 { return uint32(os.Geteuid()) })

// A handle is an open directory. The garbage collector closes it once it is unreachable.
type handle struct {
	f     *os.File
	fd    int
	owner uint32 // of all files in it
}

func newHandle(fd int, name string, owner uint32) *handle {
	return &handle{f: os.NewFile(uintptr(fd), name), fd: fd, owner: owner}
}

func (h *handle) close() { h.f.Close() }

const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

func openHandle(path string) (*handle, error) {
	fd, err := uninterrupted(func() (int, error) { return unix.Open(path, dirFlags, 0) })
	if err == unix.ENOTDIR || err == unix.ELOOP {
		if info, e := lstat(path); e == nil && !info.Mode.IsDir() { // path itself and not one of its parents
			return nil, errNotDirectory
		}
	}
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return newHandle(fd, path, 0), nil
}

func (h *handle) openDir(name string) (*handle, error) {
	defer runtime.KeepAlive(h)
	fd, err := uninterrupted(func() (int, error) { return unix.Openat(h.fd, name, dirFlags, 0) })
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return newHandle(fd, name, h.owner), nil
}

// open opens a file for reading. O_NONBLOCK prevents it from waiting for the writer of a
// FIFO.
func (h *handle) open(name string) (*file, error) {
	return h.openFlags(name, unix.O_RDONLY)
}

func (h *handle) modify(name string) (*file, error) { return h.openFlags(name, unix.O_RDWR) }

func (h *handle) openFlags(name string, flags int) (*file, error) {
	defer runtime.KeepAlive(h)
	flags |= unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(h.fd, name, flags, 0)
	for err == unix.EINTR {
		fd, err = unix.Openat(h.fd, name, flags, 0)
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return newFileOf(fd, h.owner), nil
}

func (h *handle) createNew(name string) (*os.File, error) {
	defer runtime.KeepAlive(h)
	fd, err := uninterrupted(func() (int, error) {
		return unix.Openat(h.fd, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, fileMode)
	})
	if err != nil {
		return nil, pathError("create", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (h *handle) stat() (Info, error) {
	defer runtime.KeepAlive(h)
	var st unix.Stat_t
	if err := unix.Fstat(h.fd, &st); err != nil {
		return Info{}, pathError("fstat", h.f.Name(), err)
	}
	return infoOf(&st, h.owner), nil
}

// statOf describes a file under construction.
func statOf(f *os.File) (Info, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Info{}, pathError("fstat", f.Name(), err)
	}
	return infoOf(&st, 0), nil
}

func (h *handle) lstat(name string) (Info, error) {
	defer runtime.KeepAlive(h)
	var st unix.Stat_t
	if err := unix.Fstatat(h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return Info{}, pathError("lstat", name, err)
	}
	return infoOf(&st, h.owner), nil
}

// lstat is for the few paths that are not below a handle.
func lstat(path string) (Info, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Info{}, pathError("lstat", path, err)
	}
	return infoOf(&st, st.Uid), nil
}

func infoOf(st *unix.Stat_t, owner uint32) Info {
	mode := fs.FileMode(st.Mode) & fs.ModePerm
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	mtime := st.Mtim.Nano()
	return Info{
		Mode:    mode,
		Size:    st.Size,
		ModTime: time.Unix(0, mtime),
		ID:      FileID{Dev: uint64(st.Dev), Ino: uint64(st.Ino), Size: st.Size, Mtime: mtime, Ctime: st.Ctim.Nano()},
		Ours:    st.Uid == owner,
		Linked:  st.Nlink > 0,
		uid:     st.Uid,
	}
}

func (h *handle) mkdir(name string) error {
	defer runtime.KeepAlive(h)
	return pathError("mkdir", name, unix.Mkdirat(h.fd, name, 0o700))
}

// remove removes a file or an empty directory.
func (h *handle) remove(name string) error {
	defer runtime.KeepAlive(h)
	err := unix.Unlinkat(h.fd, name, 0)
	if err == unix.EISDIR || err == unix.EPERM {
		if dirErr := unix.Unlinkat(h.fd, name, unix.AT_REMOVEDIR); dirErr != unix.ENOTDIR {
			err = dirErr
		}
	}
	return pathError("remove", name, err)
}

func (h *handle) rename(from, to string) error {
	defer runtime.KeepAlive(h)
	if err := unix.Renameat(h.fd, from, h.fd, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (h *handle) touch(name string, at time.Time) error {
	defer runtime.KeepAlive(h)
	ts := unix.NsecToTimespec(at.UnixNano())
	return pathError("touch", name, unix.UtimesNanoAt(h.fd, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
}

// names lists the directory through a new descriptor, because each has an offset.
func (h *handle) names() ([]string, error) {
	d, err := h.openDir(".")
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.f.Readdirnames(-1)
}

// listBuffer is the size of one read of a directory: about 10 names.
const listBuffer = 1 << 10

// listing does not use os.File, which reads more at once.
type listing struct {
	dir *handle
	buf [listBuffer]byte
}

func (h *handle) list() (Listing, error) {
	d, err := h.openDir(".")
	if err != nil {
		return nil, err
	}
	return &listing{dir: d}, nil
}

// Next implements Listing.
func (l *listing) Next() ([]string, error) {
	defer runtime.KeepAlive(l.dir)
	for {
		n, err := uninterrupted(func() (int, error) { return unix.ReadDirent(l.dir.fd, l.buf[:]) })
		if err != nil {
			return nil, pathError("readdir", l.dir.f.Name(), err)
		}
		if n <= 0 {
			return nil, io.EOF
		}
		if _, _, names := unix.ParseDirent(l.buf[:n], -1, nil); len(names) > 0 {
			return names, nil
		}
	}
}

// Close implements Listing.
func (l *listing) Close() error { return l.dir.f.Close() }

// removeAll removes a file, or a directory with its contents, even if the modes of
// directories forbid that.
func (h *handle) removeAll(name string) error {
	err := h.remove(name)
	info, statErr := h.lstat(name)
	if err == nil || statErr != nil || !info.Mode.IsDir() {
		return err
	}
	if info.Mode.Perm()&0o700 != 0o700 {
		unix.Fchmodat(h.fd, name, 0o700, 0) // if this fails, openDir reports it
	}
	d, err := h.openDir(name)
	if err != nil {
		return err
	}
	defer d.close()
	names, err := d.names()
	for _, n := range names {
		err = errors.Join(err, d.removeAll(n))
	}
	if err != nil {
		return err
	}
	return h.remove(name)
}

// file is a descriptor for reading. An os.File would add two system calls to each hit, to
// determine whether the file can be polled.
type file struct {
	owner uint32

	mu sync.RWMutex // a reader of fd holds the read lock
	fd int          // -1 if closed
}

func newFileOf(fd int, owner uint32) *file {
	f := &file{fd: fd, owner: owner}
	runtime.SetFinalizer(f, (*file).Close) // a Cleanup would need two more allocations
	return f
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (n int, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return 0, fs.ErrClosed
	}
	for n < len(p) {
		m, err := unix.Pread(f.fd, p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, pathError("read", "fd "+strconv.Itoa(f.fd), err)
		case m == 0:
			return n, io.EOF
		default:
			n += m
		}
	}
	return n, nil
}

// WriteAt implements Modifiable.
func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return 0, fs.ErrClosed
	}
	for n < len(p) {
		m, err := unix.Pwrite(f.fd, p[n:], off+int64(n))
		n += max(m, 0)
		if err != nil && err != unix.EINTR {
			return n, pathError("write", "fd "+strconv.Itoa(f.fd), err)
		}
	}
	return n, nil
}

// Stat implements File.
func (f *file) Stat() (Info, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return Info{}, fs.ErrClosed
	}
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return Info{}, pathError("fstat", "fd "+strconv.Itoa(f.fd), err)
	}
	return infoOf(&st, f.owner), nil
}

// Lock implements File.
func (f *file) Lock(exclusive bool) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.fd < 0 {
		return fs.ErrClosed
	}
	return flock(f.fd, exclusive)
}

// Close implements io.Closer.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd < 0 {
		return fs.ErrClosed
	}
	runtime.SetFinalizer(f, nil)
	err := unix.Close(f.fd)
	f.fd = -1
	return err
}

func (d dirFile) ReadAt([]byte, int64) (int, error) {
	return 0, pathError("read", d.h.f.Name(), unix.EISDIR)
}
func (d dirFile) Close() error { return d.h.f.Close() }
func (d dirFile) Seal() error  { return d.h.f.Chmod(0o500) }

func (d dirFile) Lock(exclusive bool) error {
	defer runtime.KeepAlive(d.h)
	return flock(d.h.fd, exclusive)
}

func flock(fd int, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	_, err := uninterrupted(func() (int, error) { return 0, unix.Flock(fd, how|unix.LOCK_NB) })
	switch err {
	case nil:
		return nil
	case unix.EWOULDBLOCK:
		return ErrLocked
	}
	return pathError("flock", "fd "+strconv.Itoa(fd), err)
}
