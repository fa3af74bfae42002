package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// createUnnamed makes a file without a name. If the process is killed, nothing is left
// behind.
func (h *handle) createUnnamed() (*os.File, error) {
	defer runtime.KeepAlive(h)
	fd, err := uninterrupted(func() (int, error) {
		return unix.Openat(h.fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, fileMode)
	})
	if err != nil {
		return nil, pathError("create", h.f.Name(), err)
	}
	return os.NewFile(uintptr(fd), h.f.Name()), nil
}

// linkUnnamed names a file made by createUnnamed. It uses /proc, which needs no
// privilege. Without /proc, it uses AT_EMPTY_PATH.
func (h *handle) linkUnnamed(f *os.File, name string) error {
	defer runtime.KeepAlive(h)
	err := unix.Linkat(unix.AT_FDCWD, procPath(f), h.fd, name, unix.AT_SYMLINK_FOLLOW)
	if err == unix.ENOENT {
		err = unix.Linkat(int(f.Fd()), "", h.fd, name, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: "unnamed file", New: name, Err: err}
	}
	return nil
}

func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// canLink reports whether linkUnnamed can work on this system after it failed with err.
// It cannot without /proc, or if the call is forbidden.
func canLink(f *os.File, err error) bool {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	_, err = os.Lstat(procPath(f))
	return err == nil
}

// minAllocate is the size from which fallocate is worth its cost.
const minAllocate = 256 << 10

// allocate reserves room for size bytes and reports whether it did. So a full disk is
// detected before the download. In memory, it would only add a pass over the pages. Other
// file systems without fallocate return an error.
func allocate(f *os.File, size int64) (bool, error) {
	if size < minAllocate || madeOfMemory(f) {
		return false, nil
	}
	switch err := unix.Fallocate(int(f.Fd()), 0, 0, size); err {
	case nil:
		return true, nil
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EINTR:
		return false, nil
	default:
		return false, pathError("fallocate", f.Name(), err)
	}
}

func madeOfMemory(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) == nil && isMemory(&st)
}

func isMemory(st *unix.Statfs_t) bool {
	return int64(st.Type) == unix.TMPFS_MAGIC || int64(st.Type) == unix.RAMFS_MAGIC
}

func (h *handle) statfs() (Space, error) {
	defer runtime.KeepAlive(h)
	var st unix.Statfs_t
	_, err := uninterrupted(func() (int, error) { return 0, unix.Fstatfs(h.fd, &st) })
	return spaceOf(&st), pathError("statfs", h.f.Name(), err)
}

// statfs describes the file system of path, or of its closest existing parent.
func statfs(path string) (Space, error) {
	var st unix.Statfs_t
	_, err := uninterrupted(func() (int, error) { return 0, unix.Statfs(path, &st) })
	if err == unix.ENOENT && filepath.Dir(path) != path {
		return statfs(filepath.Dir(path))
	}
	return spaceOf(&st), pathError("statfs", path, err)
}

func spaceOf(st *unix.Statfs_t) Space {
	block := int64(st.Bsize)
	return Space{
		Total: int64(st.Blocks) * block, Free: int64(st.Bavail) * block,
		Inodes: int64(st.Files), FreeInodes: int64(st.Ffree),
		Memory: isMemory(st),
	}
}

// lockFile is a descriptor. The locks belong to it and not to the process, so two caches
// in one process exclude each other too.
type lockFile int

func (h *handle) locks(name string) (Locks, error) {
	defer runtime.KeepAlive(h)
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, err := uninterrupted(func() (int, error) { return unix.Openat(h.fd, name, flags, 0o600) })
	switch err {
	case nil:
	case unix.EISDIR, unix.ELOOP, unix.ENXIO:
		return nil, pathError("open", name, errNotRegular)
	default:
		return nil, pathError("open", name, err)
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNotRegular
	}
	if err != nil {
		unix.Close(fd)
		return nil, pathError("open", name, err)
	}
	return lockFile(fd), nil
}

func (l lockFile) Acquire(n int64) error {
	err := unix.FcntlFlock(uintptr(l), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: n, Len: 1})
	if err == unix.EAGAIN || err == unix.EACCES {
		return ErrLocked
	}
	return err
}

func (l lockFile) Close() error { return unix.Close(int(l)) }
