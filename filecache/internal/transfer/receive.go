package transfer

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// Options configures a transfer.
type Options struct {
	Connections int              // the maximum, including the first answer's; below 2 means only that one
	Progress    func(done int64) // called after about every MiB and at the end, never concurrently; may be nil
	Patience    Patience
}

// An Answer is the body of the response that described the object.
type Answer struct {
	Body io.ReadCloser
	// Off and End are the bounds of its bytes, as returned by Parts.Next.
	Off, End int64
}

// Receive writes the missing bytes of v to dst. It reads them from first and from further
// requests, and closes first. An error of dst ends it. After an error, parts records the
// received bytes, and another Receive may continue.
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

// Read fills p with the bytes at off.
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
		return fmt.Errorf("%w: the origin sends more than %d bytes", blocks.ErrChecksum, t.Size)
	}
	return nil
}
