package store

import (
	"errors"
	"io/fs"
	"maps"
	"sync"
	"syscall"

	"github.com/warmcache/warmcache/internal/disk"
)

// faults counts the failures of the disk, none of which a caller sees, and tells the
// breaker of them.
type faults struct {
	breaker *disk.Breaker

	mu      sync.Mutex
	total   int64
	byName  map[string]int64
	refused string // why the directory is not used: the last disk.ErrNotPrivate
}

// fault counts err. A nil one counts for nothing.
func (f *faults) fault(err error) {
	if err == nil || errors.Is(err, disk.ErrOpen) {
		return
	}
	f.count(err)
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, errEntry) {
		f.breaker.Failure(err)
	}
}

// faultUnlessNotExist is fault where a file that does not exist is a plain miss.
func (f *faults) faultUnlessNotExist(err error) { f.fault(ignoreNotExist(err)) }

func (f *faults) count(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total++
	if f.byName == nil {
		f.byName = map[string]int64{}
	}
	f.byName[faultName(err)]++
	if errors.Is(err, disk.ErrNotPrivate) {
		f.refused = err.Error()
	}
}

// faultName returns the name to count err under: there are only so many.
func faultName(err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, disk.ErrNotPrivate):
		return "not private"
	case errors.As(err, &errno):
		return disk.ErrnoName(errno)
	case errors.Is(err, ErrDamaged), errors.Is(err, errEntry):
		return "damaged"
	case errors.Is(err, fs.ErrNotExist):
		return disk.ErrnoName(syscall.ENOENT)
	}
	return "other"
}

func (f *faults) stats() (total int64, byName map[string]int64, refused string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.total, maps.Clone(f.byName), f.refused
}
