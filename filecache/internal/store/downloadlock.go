package store

import (
	"errors"
	"time"

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

// An entryLock orders what several processes do to an entry and its data files: they
// read, compare and replace under it. Like a DownloadLock it is a lock on one byte.
type entryLock struct {
	locks disk.Locks
	sure  bool // no other process has it
	late  bool // another process has it
}

// entryLocks is where the bytes for entryLocks begin.
const entryLocks = 1 << 62

// tryLockEntry locks an entry by name, unless another process has it. Where there are
// no locks, it is not sure.
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

// lockEntry locks an entry. It does not wait long for a process that is frozen while it
// has the lock, and returns one that is late: what is done without the lock may leave a
// data file that nobody refers to, or an entry that refers to none.
func (s *Store) lockEntry(name string) entryLock {
	for pause := 500 * time.Microsecond; pause < 100*time.Millisecond; pause *= 2 {
		if l, ok := s.tryLockEntry(name); ok {
			return l
		}
		time.Sleep(pause)
	}
	return entryLock{late: true}
}

// Release ends the lock.
func (l entryLock) Release() {
	if l.locks != nil {
		l.locks.Close()
	}
}
