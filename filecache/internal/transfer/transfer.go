// Package transfer receives one version of an object from its origin: in order, or in
// parts over several connections. Connections that break are resumed as long as they
// bring anything, silent and slow ones are replaced. It knows no disk.
package transfer

import (
	"context"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/warmcache/warmcache/internal/flight"
)

// transfer is the receiving of one version of an object.
type transfer struct {
	Version
	ctx      context.Context
	abort    context.CancelFunc // of all its requests and bodies
	failed   atomic.Pointer[failure]
	patience Patience
	dst      io.WriterAt
	progress progress
}

func newTransfer(ctx context.Context, v Version, patience Patience) (*transfer, context.CancelFunc) {
	ctx, abort := context.WithCancel(ctx)
	return &transfer{Version: v, ctx: ctx, abort: abort, patience: patience}, abort
}

// failure is how a goroutine of a transfer ended the whole of it.
type failure struct {
	err      error
	panicked *flight.PanicError
	exited   bool // it called runtime.Goexit
}

// guard notes how do ended the transfer, if it did. A panic must reach the callers
// and not end the process.
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

// outcome ends the transfer as one of its goroutines has ended it, if one has.
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
