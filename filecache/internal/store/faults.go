package store

import (
	"errors"
	"io/fs"
	"maps"
	"sync"
	"syscall"

	"github.com/warmcache/warmcache/internal/disk"
)

// faults counts disk failures, which callers do not see, and reports them to the breaker.
type faults struct {
	breaker *disk.Breaker

	mu      sync.Mutex
	total   int64
	byName  map[string]int64
	refused string // the last disk.ErrNotPrivate
}

// fault counts err. It ignores nil.
func (f *faults) fault(err error) {
	if err == nil || errors.Is(err, disk.ErrOpen) {
		return
	}
	f.count(err)
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, errEntry) {
		f.breaker.Failure(err)
	}
}

// faultUnlessNotExist counts err unless it matches fs.ErrNotExist, which is a plain miss.
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

// faultName returns the name to count err under. The set of names is bounded.
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
