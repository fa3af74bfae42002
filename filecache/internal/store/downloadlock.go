package store

import (
	"errors"
	"time"

	"github.com/warmcache/warmcache/internal/disk"
)

// A DownloadLock lets one of several processes download an object. It locks one byte of
// an empty file, at an offset that is a hash of the object's Key. So one file serves all
// objects, and collisions are rare. The system releases the lock when the process ends.
// The lock only saves work. The zero DownloadLock is always free.
type DownloadLock struct {
	locks disk.Locks
	n     int64
}

// DownloadLock returns the lock of k, not yet acquired. If the file system has no such
// locks, or there is no disk, every process acquires it.
func (s *Store) DownloadLock(k Key) DownloadLock {
	l, err := s.openLocks()
	if err != nil {
		s.fault(err)
		return DownloadLock{}
	}
	return DownloadLock{l, k.lockByte()}
}

// openLocks opens the lock file, and creates it if it is missing.
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

// TryAcquire reports whether this process now holds the lock. It does not wait.
func (l DownloadLock) TryAcquire() bool {
	return l.locks == nil || !errors.Is(l.locks.Acquire(l.n), disk.ErrLocked)
}

// Release releases the lock.
func (l DownloadLock) Release() {
	if l.locks != nil {
		l.locks.Close()
	}
}

// An entryLock serializes the changes that several processes make to an entry and its
// data files. It is a lock on one byte, like a DownloadLock.
type entryLock struct {
	locks disk.Locks
	sure  bool // no other process holds it
	late  bool // another process holds it
}

// entryLocks is the offset of the bytes for entryLocks.
const entryLocks = 1 << 62

// tryLockEntry locks an entry by name, unless another process holds the lock. Without
// lock support, the result is not sure.
func (s *Store) tryLockEntry(name string) (l entryLock, ok bool) {
	if s.disk.Check() != nil {
		return entryLock{}, true
	}
	locks, err := s.disk.Locks(lockFile)
	if err != nil {
		return entryLock{}, true
	}
	err = locks.Acquire(entryLocks | int64(entryID(name)>>2))
	if errors.Is(err, disk.ErrLocked) {
		locks.Close()
		return entryLock{}, false
	}
	return entryLock{locks: locks, sure: err == nil}, true
}

// lockEntry locks an entry. It does not wait long for a frozen process that holds the
// lock, and then returns a late lock. Changes under a late lock may leave a data file
// without an entry. If they remove a copy, they may leave an entry without its data, which
// is a miss.
func (s *Store) lockEntry(name string) entryLock {
	for pause := 500 * time.Microsecond; pause < 100*time.Millisecond; pause *= 2 {
		if l, ok := s.tryLockEntry(name); ok {
			return l
		}
		time.Sleep(pause)
	}
	return entryLock{late: true}
}

// Release releases the lock.
func (l entryLock) Release() {
	if l.locks != nil {
		l.locks.Close()
	}
}
