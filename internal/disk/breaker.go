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

// State is the state of a Breaker.
type State uint8

const (
	Closed  State = iota // the directory is used
	Open                 // after repeated failures, the directory is not used for a while
	Probing              // it is used again, and the next failure opens the Breaker
)

// A Breaker decides whether to use a directory. After several consecutive failures, it
// keeps the directory unused for a while: a failing disk responds late, and an invocation
// should not wait for it. The time doubles with each further failure. No goroutine waits
// for its end: the next call checks the clocks.
type Breaker struct {
	clock *clock.Clock

	failures atomic.Int32 // consecutive failures
	broken   atomic.Bool

	mu      sync.Mutex
	since   clock.Instant
	openFor time.Duration
	opened  int64 // how often it has opened
}

const (
	BreakAfter   = 5           // consecutive failures
	FirstOpenFor = time.Second // doubles with each failure
	maxOpenFor   = 5 * time.Minute
)

// ErrOpen is the error of all calls while the Breaker is open.
var ErrOpen = errors.New("the directory keeps failing and is not used for a while")

// NewBreaker returns a closed Breaker.
func NewBreaker(c *clock.Clock) *Breaker { return &Breaker{clock: c} }

// allow returns ErrOpen if the Breaker is open.
func (b *Breaker) allow() error {
	if !b.broken.Load() {
		return nil
	}
	if state, _ := b.State(); state == Open {
		return ErrOpen
	}
	return nil
}

// State returns the state, and how often the Breaker has opened.
func (b *Breaker) State() (s State, opened int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state(), b.opened
}

// state returns the state. The caller holds mu.
func (b *Breaker) state() State {
	switch {
	case !b.broken.Load():
		return Closed
	case b.since.Within(b.openFor, b.clock.Now()):
		return Open
	}
	return Probing
}

// Failures returns the number of consecutive failures.
func (b *Breaker) Failures() int { return int(b.failures.Load()) }

// Success records that the directory works. It costs next to nothing.
func (b *Breaker) Success() {
	if b.failures.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures.Store(0)
	b.broken.Store(false)
}

// Failure records a failure if OfDirectory(err) is true.
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

// Trip records a failure that suffices to open the Breaker.
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

// OfDirectory reports whether err means that the directory is unusable. It reports false
// if a file in it is missing, if the disk is full, or if the process is temporarily out
// of resources.
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
