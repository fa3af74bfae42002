package filecache

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"golang.org/x/sys/unix"
)

// createUnnamed makes a file that has no name: killed at any moment, the process
// leaves nothing behind.
func createUnnamed(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// linkUnnamed names a file made by createUnnamed. It goes by way of /proc, which
// needs no privilege, or without it where there is none.
func linkUnnamed(f *os.File, path string) error {
	err := unix.Linkat(unix.AT_FDCWD, procPath(f), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err == unix.ENOENT {
		err = unix.Linkat(int(f.Fd()), "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: "unnamed file", New: path, Err: err}
	}
	return nil
}

func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// canLink reports whether linkUnnamed can work at all on this system, after it
// failed: not without /proc, and not where the call is forbidden.
func canLink(f *os.File, err error) bool {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	_, err = os.Lstat(procPath(f))
	return err == nil
}

// allocate reserves room for size bytes, so that a full disk shows before the
// download and not in the middle. In memory it would be a needless pass over the
// pages; the other file systems without it say so. It reports whether it did.
func allocate(f *os.File, size int64) (bool, error) {
	if size < blocks.MinSize || madeOfMemory(f) {
		return false, nil
	}
	switch err := unix.Fallocate(int(f.Fd()), 0, 0, size); err {
	case nil:
		return true, nil
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EINTR:
		return false, nil
	default:
		return false, &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
}

func madeOfMemory(f *os.File) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &st) == nil && isMemory(&st)
}

func isMemory(st *unix.Statfs_t) bool {
	return int64(st.Type) == unix.TMPFS_MAGIC || int64(st.Type) == unix.RAMFS_MAGIC
}

func statfs(path string) (space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return space{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	block := int64(st.Bsize)
	return space{
		total:  int64(st.Blocks) * block,
		free:   int64(st.Bavail) * block,
		memory: isMemory(&st),
	}, nil
}

func changeTime(st *syscall.Stat_t) int64 { return st.Ctim.Nano() }
