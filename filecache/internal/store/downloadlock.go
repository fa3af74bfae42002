package store

import (
	"errors"

	"github.com/warmcache/warmcache/internal/disk"
)

// A DownloadLock lets one of several processes download an object. It is a lock on one
// byte of a file, whose number is a hash of the object's Key: so one empty file serves
// all objects, hardly two of which share a lock, and the system releases it with the
// process. It only saves work. The zero DownloadLock is always free.
type DownloadLock struct {
	locks disk.Locks
	n     int64
}

// DownloadLock returns the lock of k, which is not acquired yet. Where there are no such
// locks, or no disk, everybody acquires it.
func (s *Store) DownloadLock(k Key) DownloadLock {
	l, err := s.openLocks()
	if err != nil {
		s.fault(err)
		return DownloadLock{}
	}
	return DownloadLock{l, k.lockByte()}
}

// openLocks opens the file, and makes what is missing.
func (s *Store) openLocks() (disk.Locks, error) {
	err := s.disk.Check()
	if err == nil {
		return s.disk.Locks(lockFile)
	}
	if err := s.disk.Make(); err != nil {
		return nil, err
	}
	return s.disk.Locks(lockFile)
}

// TryAcquire reports whether the lock is this process's now. It does not wait.
func (l DownloadLock) TryAcquire() bool {
	return l.locks == nil || !errors.Is(l.locks.Acquire(l.n), disk.ErrLocked)
}

// Release ends the lock.
func (l DownloadLock) Release() {
	if l.locks != nil {
		l.locks.Close()
	}
}
