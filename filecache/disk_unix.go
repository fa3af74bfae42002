//go:build unix

package filecache

import (
	"io/fs"
	"os"
	"sync"
	"syscall"
)

const (
	openFlags     = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	canLock       = true
	canRenameOpen = true
)

func lock(f *os.File, exclusive bool) error {
	how := syscall.LOCK_SH
	if exclusive {
		how = syscall.LOCK_EX
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	err2 := conn.Control(func(fd uintptr) { err = syscall.Flock(int(fd), how|syscall.LOCK_NB) })
	if err2 != nil {
		return err2
	}
	if err == syscall.EWOULDBLOCK {
		err = errLocked
	}
	if err != nil {
		return &fs.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return nil
}

// stampOf returns what changes when anybody changes the file or puts another
// one in its place.
func stampOf(fi fs.FileInfo) stamp {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok { // a file system of a test
		return stamp{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	}
	return stamp{
		dev:   uint64(st.Dev),
		ino:   uint64(st.Ino),
		size:  fi.Size(),
		mtime: fi.ModTime().UnixNano(),
		ctime: changeTime(st),
	}
}

var euid = sync.OnceValue(os.Geteuid)

// ours reports whether the file belongs to this user alone, by one name.
func ours(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == euid() && (fi.IsDir() || st.Nlink == 1)
}
