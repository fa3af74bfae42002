package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// BreakerState says whether a Cache uses its directory.
type BreakerState uint8

const (
	BreakerClosed  BreakerState = iota // the directory is used
	BreakerOpen                        // it kept failing, and is left alone for a while
	BreakerProbing                     // it is tried again, and left alone again if it fails
)

// String returns "closed", "open" or "probing".
func (s BreakerState) String() string {
	switch s {
	case BreakerClosed:
		return "closed"
	case BreakerOpen:
		return "open"
	case BreakerProbing:
		return "probing"
	}
	return fmt.Sprintf("BreakerState(%d)", uint8(s))
}

// breaker decides whether a directory is worth trying. One that has failed some
// times in a row is left alone: a disk that is about to die answers late, and an
// invocation has better things to wait for. It is tried again after a time that
// doubles with each failure. Nothing runs meanwhile: who comes next looks at the
// clocks.
type breaker struct {
	clock *clock.Clock

	faults atomic.Int32 // in a row
	broken atomic.Bool

	mu     sync.Mutex
	since  clock.Instant
	rest   time.Duration
	opened int64 // how often
}

const (
	breakAfter  = 5
	firstRest   = time.Second
	longestRest = 5 * time.Minute
)

// errResting is the error of what is not tried on a directory that is left alone.
var errResting = errors.New("the directory keeps failing and is left alone for a while")

// allows reports whether the directory is to be used now.
func (b *breaker) allows() bool {
	if !b.broken.Load() {
		return true
	}
	state, _ := b.state()
	return state != BreakerOpen
}

// state returns the state and how often it has been open.
func (b *breaker) state() (BreakerState, int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stateLocked(), b.opened
}

func (b *breaker) stateLocked() BreakerState {
	switch {
	case !b.broken.Load():
		return BreakerClosed
	case b.since.Within(b.rest, b.clock.Now()):
		return BreakerOpen
	}
	return BreakerProbing
}

// worked notes that a copy could be opened. It costs that next to nothing.
func (b *breaker) worked() {
	if b.faults.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults.Store(0)
	b.broken.Store(false)
}

// failed notes a failure of the directory.
func (b *breaker) failed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.faults.Add(1)
	switch b.stateLocked() {
	case BreakerClosed:
		if n >= breakAfter {
			b.open(firstRest)
		}
	case BreakerProbing:
		b.open(min(2*b.rest, longestRest))
	}
}

func (b *breaker) open(rest time.Duration) {
	b.since, b.rest = b.clock.Now(), rest
	b.opened++
	b.broken.Store(true)
}

// isOfDirectory reports whether err says that the directory is unusable, and not
// only that a file in it is damaged or missing, that there is too little room, or
// that the process has too much at work at the moment.
func isOfDirectory(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return !errors.Is(err, errDamaged) && !errors.Is(err, errEntry) && !errors.Is(err, fs.ErrNotExist)
	}
	switch errno {
	case syscall.ENOENT, syscall.EEXIST, syscall.ELOOP, syscall.EISDIR, syscall.ENXIO,
		syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG,
		syscall.EINTR, syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
		return false
	}
	return true
}
