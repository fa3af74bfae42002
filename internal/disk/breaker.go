package disk

import (
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// State says whether a Breaker lets the directory be used.
type State uint8

const (
	Closed  State = iota // the directory is used
	Open                 // it kept failing, and is not used for a while
	Probing              // it is tried again; the next failure opens the Breaker
)

// A Breaker decides whether a directory is worth trying. After some failures in a
// row it is not used for a while: a disk that is about to die answers late, and an
// invocation has better things to wait for. It is tried again after a time that
// doubles with each failure. No goroutine waits for that: the next caller looks at
// the clocks.
type Breaker struct {
	clock *clock.Clock

	failures atomic.Int32 // in a row
	broken   atomic.Bool

	mu      sync.Mutex
	since   clock.Instant
	openFor time.Duration
	opened  int64 // how often
}

const (
	BreakAfter   = 5           // failures in a row
	FirstOpenFor = time.Second // doubles with each failure
	maxOpenFor   = 5 * time.Minute
)

// ErrOpen is the error of everything that is not tried while the Breaker is open.
var ErrOpen = errors.New("the directory keeps failing and is not used for a while")

// NewBreaker returns a closed Breaker.
func NewBreaker(c *clock.Clock) *Breaker { return &Breaker{clock: c} }

// allow returns ErrOpen if the directory is not to be used now.
func (b *Breaker) allow() error {
	if !b.broken.Load() {
		return nil
	}
	if state, _ := b.State(); state == Open {
		return ErrOpen
	}
	return nil
}

// State returns the state, and how often it has been Open.
func (b *Breaker) State() (s State, opened int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state(), b.opened
}

// state is State. The caller holds mu.
func (b *Breaker) state() State {
	switch {
	case !b.broken.Load():
		return Closed
	case b.since.Within(b.openFor, b.clock.Now()):
		return Open
	}
	return Probing
}

// Failures returns how many there were in a row.
func (b *Breaker) Failures() int { return int(b.failures.Load()) }

// Success notes that the directory works. It costs next to nothing.
func (b *Breaker) Success() {
	if b.failures.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures.Store(0)
	b.broken.Store(false)
}

// Failure notes a failure. It counts only if err is one of the directory: see
// OfDirectory.
func (b *Breaker) Failure(err error) {
	if !OfDirectory(err) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.failures.Add(1)
	switch b.state() {
	case Closed:
		if n >= BreakAfter {
			b.open(FirstOpenFor)
		}
	case Probing:
		b.open(min(2*b.openFor, maxOpenFor))
	}
}

// Trip notes a failure that is reason enough to open the Breaker.
func (b *Breaker) Trip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures.Add(1)
	switch b.state() {
	case Closed:
		b.open(FirstOpenFor)
	case Probing:
		b.open(min(2*b.openFor, maxOpenFor))
	}
}

func (b *Breaker) open(d time.Duration) {
	b.since, b.openFor = b.clock.Now(), d
	b.opened++
	b.broken.Store(true)
}

// OfDirectory reports whether err says that the directory is unusable. It is not if a
// file in it is missing, if there is too little room, or if the process has too much
// at work at the moment.
func OfDirectory(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrOpen)
	}
	switch errno {
	case syscall.ENOENT, syscall.EEXIST, syscall.ELOOP, syscall.EISDIR, syscall.ENXIO,
		syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG,
		syscall.EINTR, syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE:
		return false
	}
	return true
}
