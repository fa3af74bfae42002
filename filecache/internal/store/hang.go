package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

// A disk may hang: frozen for a snapshot, or behind a network. A system call cannot be
// given up, but the caller can leave it. To run each call of a hit in a goroutine of its
// own would cost a tenth of the hit, so only the first of each trustFor is: what comes
// right after a call that returned is trusted to return, too.
const trustFor = int64(time.Second)

// maxHang is how long a call may take before the disk counts as broken; half of the
// time that the caller has left, if that is less.
const maxHang = 5 * time.Second

// errHangs is the error of a call that did not return in time.
var errHangs = fmt.Errorf("the disk hangs: %w", syscall.ETIMEDOUT)

// returned notes that the disk answered at now.
func (s *Store) returned(now int64) { s.answered.Store(now) }

// trusted reports whether the disk has answered so lately that it can be called at now
// by a caller that must leave with ctx.
func (s *Store) trusted(ctx context.Context, now int64) bool {
	if ctx.Done() == nil {
		return true
	}
	since := now - s.answered.Load()
	return 0 <= since && since < trustFor
}

// within runs call and returns its error, or errHangs or ctx's error if it does not
// return in time. The call then goes on alone, and late is called after it. A disk that
// hangs opens the breaker.
func (s *Store) within(ctx context.Context, call func() error, late func()) error {
	done := make(chan error, 1)
	var settled atomic.Bool // by the first of call's return and the caller's leaving
	go func() {
		err := call()
		if settled.CompareAndSwap(false, true) {
			done <- err
		} else {
			late()
		}
	}()
	t := time.NewTimer(hangAfter(ctx))
	defer t.Stop()
	var why error
	select {
	case err := <-done:
		return err
	case <-t.C:
		why = errHangs
	case <-ctx.Done():
		why = ctx.Err()
	}
	if !settled.CompareAndSwap(false, true) {
		return <-done
	}
	if why == errHangs {
		s.breaker.Trip()
	}
	return why
}

func hangAfter(ctx context.Context) time.Duration {
	if t, ok := ctx.Deadline(); ok {
		return min(maxHang, max(0, time.Until(t)/2))
	}
	return maxHang
}
