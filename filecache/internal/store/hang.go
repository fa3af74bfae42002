package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

// A disk may hang, because it is frozen for a snapshot or is on a network. A system call
// cannot be canceled, but the caller can stop waiting for it. A goroutine for each system
// call of a hit would make the hit a tenth slower. So only the first call in each
// trustFor gets one: a call right after one that returned is expected to return too.
const trustFor = int64(time.Second)

// maxHang is how long a call may take before the disk counts as broken. It is half of the
// caller's remaining time if that is less.
const maxHang = 5 * time.Second

// errHangs means that a call did not return in time.
var errHangs = fmt.Errorf("the disk hangs: %w", syscall.ETIMEDOUT)

// returned records that the disk answered at now.
func (s *Store) returned(now int64) { s.answered.Store(now) }

// trusted reports whether the disk answered so recently that a caller with ctx can call
// it directly at now.
func (s *Store) trusted(ctx context.Context, now int64) bool {
	if ctx.Done() == nil {
		return true
	}
	since := now - s.answered.Load()
	return 0 <= since && since < trustFor
}

// within runs call and returns its error. If call does not return in time, within returns
// errHangs or ctx's error; call continues, and late runs after it. A disk that hangs
// opens the breaker.
func (s *Store) within(ctx context.Context, call func() error, late func()) error {
	done := make(chan error, 1)
	var settled atomic.Bool // set by call's return or the caller's time-out, whichever is first
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
