package transfer

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// Options say how a transfer is made.
type Options struct {
	Connections int              // at most, with that of the first answer. Less than 2: only that one
	Progress    func(done int64) // called about every MiB and at the end, never twice at once; may be nil
	Patience    Patience
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
