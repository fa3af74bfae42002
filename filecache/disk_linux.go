package filecache

import (
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// createUnnamed makes a file that has no name: killed at any moment, the process
// leaves nothing behind.
func createUnnamed(dir string) (*buildFile, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return &buildFile{File: os.NewFile(uintptr(fd), dir)}, nil
}

// linkUnnamed names a file made by createUnnamed. It goes by way of /proc, which
// needs no privilege, or without it where there is none.
func linkUnnamed(f *os.File, path string) error {
	fd := int(f.Fd())
	err := unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err == unix.ENOENT {
		err = unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: "unnamed file", New: path, Err: err}
	}
	return nil
}

// allocate reserves room for size bytes, so that a full disk shows before the
// download and not in the middle. In memory it would be a needless pass over the
// pages; the other file systems without it say so.
func allocate(f *os.File, size int64) error {
	if size < minBlockSize || inMemory(f) {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS || err == unix.EINTR {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
	return nil
}

func inMemory(f *os.File) bool {
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
