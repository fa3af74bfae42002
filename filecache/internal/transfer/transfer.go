// Package transfer receives one version of an object from its origin: in order, or in
// parts over several connections, and resumed when a connection breaks. It knows no
// disk.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// ErrChanged is the error of a part of a version that the origin no longer has.
var ErrChanged = errors.New("the object has changed at the origin")

// A Version is one version of an object at its origin.
type Version struct {
	Size int64
	// Part asks for length bytes from off on, or all if length is zero. Its error
	// matches ErrChanged if the origin has another version now. Nil means that
	// nothing could tell: then a broken transfer is not resumed.
	Part func(ctx context.Context, off, length int64) (io.ReadCloser, error)
	Came func(bytes int) // counts bytes from the origin. Nil: nobody counts
}

func (v *Version) came(n int) {
	if v.Came != nil {
		v.Came(n)
	}
}

// Read fills p with the bytes from off on.
func (v *Version) Read(ctx context.Context, p []byte, off int64) error {
	if v.Part == nil {
		return ErrChanged
	}
	b, err := v.Part(ctx, off, int64(len(p)))
	if err != nil {
		return err
	}
	defer b.Close()
	n, err := io.ReadFull(b, p)
	v.came(n)
	if err == io.EOF { // which would be taken for the end of the object
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Options say how a transfer is made.
type Options struct {
	Connections int              // at most, with that of the first answer. Less than 2: only that one
	PartSize    int64            // of what other connections ask for, rounded up to whole blocks
	Progress    func(done int64) // called about every MiB and at the end, never twice at once. Nil: not
}

// transfer is the receiving of one version of an object.
type transfer struct {
	Version
	ctx      context.Context
	abort    context.CancelFunc // of all its requests and bodies
	first    *body              // of the answer that told what the object is
	dst      io.WriterAt
	sum      *blocks.Digest
	progress progress
}

// Receive moves the bytes of v from first, and from what else it asks for, past sum
// to dst. It closes first. An error of dst ends it.
func Receive(ctx context.Context, v Version, first io.ReadCloser, dst io.WriterAt, sum *blocks.Digest, opts Options) error {
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	t := &transfer{Version: v, ctx: ctx, abort: abort, dst: dst, sum: sum}
	t.progress = progress{tell: opts.Progress, total: v.Size}
	t.first = t.body(ctx, first, 0, v.Size)
	defer t.first.Close()
	defer context.AfterFunc(ctx, t.first.Close)() // it was asked for with another context
	if p := t.split(opts); p != nil {
		return p.receive()
	}
	return t.inOrder()
}

// inOrder receives the object from the first answer alone.
func (t *transfer) inOrder() error {
	if err := t.pump(0, t.Size, t.first, t.sum, t.progress.saw); err != nil {
		return err
	}
	if n, _ := t.first.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: there are more than %d bytes", blocks.ErrChecksum, t.Size)
	}
	return nil
}

// dstError is an error of the destination.
type dstError struct{ error }

func (e dstError) Unwrap() error { return e.error }

// pump moves size bytes from src past sum to dst, where they begin at off.
func (t *transfer) pump(off, size int64, src io.Reader, sum *blocks.Digest, saw func(bytes int)) error {
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for done := int64(0); done < size; {
		p := (*buf)[:min(int64(len(*buf)), size-done)]
		if _, err := io.ReadFull(src, p); err != nil {
			return err
		}
		sum.Write(p)
		if _, err := t.dst.WriteAt(p, off+done); err != nil {
			return dstError{err}
		}
		done += int64(len(p))
		saw(len(p))
	}
	return nil
}
