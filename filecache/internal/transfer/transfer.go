// Package transfer downloads one version of an object, in order or in parts over several
// connections. It resumes broken connections while they deliver bytes, and replaces
// silent and slow ones. It does not access the disk.
package transfer

import (
	"context"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/warmcache/warmcache/internal/flight"
)

// transfer is one download.
type transfer struct {
	Version
	ctx      context.Context
	abort    context.CancelFunc // cancels all its requests and bodies
	failed   atomic.Pointer[failure]
	patience Patience
	dst      io.WriterAt
	progress progress
}

func newTransfer(ctx context.Context, v Version, patience Patience) (*transfer, context.CancelFunc) {
	ctx, abort := context.WithCancel(ctx)
	return &transfer{Version: v, ctx: ctx, abort: abort, patience: patience}, abort
}

// failure is why a goroutine ended the transfer.
type failure struct {
	err      error
	panicked *flight.PanicError
	exited   bool // it called runtime.Goexit
}

// guard runs do and records a failure. A panic must reach the caller of the transfer
// instead of ending the process.
func (t *transfer) guard(do func() error) {
	f := &failure{exited: true}
	defer func() {
		if f.exited {
			f.panicked = flight.NewPanicError(recover())
		}
		if f.exited || f.err != nil {
			t.failed.CompareAndSwap(nil, f)
			t.abort()
		}
	}()
	f.err = do()
	f.exited = false
}

// outcome returns the error of a goroutine that ended the transfer, if any. It repeats a
// panic or Goexit.
func (t *transfer) outcome() error {
	f := t.failed.Load()
	switch {
	case f == nil:
		return nil
	case f.panicked != nil:
		panic(f.panicked)
	case f.exited:
		runtime.Goexit()
	}
	return f.err
}
