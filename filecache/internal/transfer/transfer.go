// Package transfer receives one version of an object from its origin: in order, or in
// parts over several connections. Connections that break are resumed as long as they
// bring anything, silent and slow ones are replaced. It knows no disk.
package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/warmcache/warmcache/internal/flight"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// ErrChanged is the error of a part of a version that the origin no longer has.
var ErrChanged = errors.New("the object has changed at the origin")

// A Version is one version of an object at its origin.
type Version struct {
	Size int64 // negative: unknown. Then Part is nil

	// Part requests length bytes from off on, or all up to the end if length is
	// zero. Fresh requests a new connection. The error matches ErrChanged if the
	// origin has another version now. A nil Part means that nothing can tell two
	// versions apart: a broken transfer is then not resumed.
	Part func(ctx context.Context, off, length int64, fresh bool) (io.ReadCloser, error)

	Came func(bytes int) // counts bytes from the origin; may be nil
}

func (v *Version) came(n int) {
	if v.Came != nil {
		v.Came(n)
	}
}

// Read fills p with the bytes from off on.
func (v Version) Read(ctx context.Context, p []byte, off int64, patience Patience) error {
	if v.Part == nil {
		return ErrChanged
	}
	t, abort := newTransfer(ctx, v, patience)
	defer abort()
	b := t.newBody(t.ctx, off, off+int64(len(p)))
	err := b.use(func() error { _, err := io.ReadFull(b, p); return err })
	return cmp.Or(t.outcome(), err)
}

// use calls do and then ends b.
func (b *body) use(do func() error) error {
	defer b.end() // also if it panics
	return do()
}

// Options say how a transfer is made.
type Options struct {
	Connections int              // at most, with that of the first answer. Less than 2: only that one
	Progress    func(done int64) // called about every MiB and at the end, never twice at once; may be nil
	Patience    Patience
}

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

// An Answer is the body of the response that described the object.
type Answer struct {
	Body io.ReadCloser
	// Off and End bound the bytes that it brings, as Parts.Next returned them.
	Off, End int64
}

// Receive moves the bytes of v that parts lack from first, and from other requests, to
// dst. It closes first. An error of dst ends it. After an error, parts has what was
// received, and another Receive may go on.
func Receive(ctx context.Context, v Version, first Answer, dst io.WriterAt, parts *Parts, opts Options) error {
	t, abort := newTransfer(ctx, v, opts.Patience)
	defer abort()
	t.dst = dst
	t.progress = progress{tell: opts.Progress, total: v.Size}
	t.progress.done.Store(parts.Done())
	b := t.body(t.ctx, first.Body, first.Off, first.End)
	err := b.use(func() error { return t.receive(b, parts, opts.Connections) })
	return cmp.Or(t.outcome(), err)
}

func (t *transfer) receive(first *body, parts *Parts, connections int) error {
	if len(parts.sums) > 1 {
		return t.parallel(first, parts, connections).receive()
	}
	return t.inOrder(first, parts.at(0))
}

// inOrder receives the object from the first answer alone.
func (t *transfer) inOrder(first *body, whole *part) error {
	if err := t.pump(whole, first, t.progress.saw); err != nil {
		return err
	}
	if t.Size >= 0 && first.excess() {
		return fmt.Errorf("%w: there are more than %d bytes", blocks.ErrChecksum, t.Size)
	}
	return nil
}

// dstError is an error of the destination.
type dstError struct{ error }

func (e dstError) Unwrap() error { return e.error }

// pump moves the rest of a part from src past its sum to dst.
func (t *transfer) pump(to *part, src io.Reader, saw func(bytes int)) error {
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for done := to.sum.Done(); done < to.length; done = to.sum.Done() {
		p := (*buf)[:min(int64(len(*buf)), to.length-done)]
		n, err := fill(src, p)
		// What has arrived is not lost, so that another connection can go on from there.
		if n > 0 {
			if _, err := t.dst.WriteAt(p[:n], to.off+done); err != nil {
				return dstError{err}
			}
			to.sum.Write(p[:n])
			saw(n)
		}
		switch {
		case err == io.EOF && t.Size < 0:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return nil
}

// fill is io.ReadFull, but tells the end from an unexpected one also after some bytes.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
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
