package filecache

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// turnsFile is a descriptor. Its locks belong to it and not to the process: two
// Caches of a process exclude each other as well.
type turnsFile int

func (osDisk) Turns(path string) (turns, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	for {
		fd, err := unix.Open(path, flags, 0o600)
		switch err {
		case nil:
			return turnsFile(fd), nil
		case unix.EINTR:
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (t turnsFile) Take(n int64) error {
	err := unix.FcntlFlock(uintptr(t), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: n, Len: 1})
	if err == unix.EAGAIN || err == unix.EACCES {
		return errLocked
	}
	return err
}

func (t turnsFile) Close() error { return unix.Close(int(t)) }
