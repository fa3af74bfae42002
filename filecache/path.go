package filecache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// Path returns the path of a file with the bytes of f, for example for a memory map or a
// database. Path verifies the whole file before it returns. On file systems with locks,
// the file is neither evicted nor removed until f is closed. The rules of [Cache.Path]
// apply.
//
// If f does not read a local copy, the error matches [ErrNoDisk].
func (f *File) Path() (string, error) {
	local, ok := f.bytes.(*localFile)
	switch {
	case f.closed.Load():
		return "", f.fail("path", fs.ErrClosed)
	case !ok:
		return "", f.fail("path", ErrNoDisk)
	}
	path, err := local.Pin()
	switch {
	case errors.Is(err, store.ErrNoRoom): // for a file of its own
		return "", f.fail("path", fmt.Errorf("%w: %w", ErrNoDisk, err))
	case err != nil:
		f.unusable.Store(true)
		local.cache.store.DropCorrupt(local.Copy(), err)
		// The disk's error must not be matched: it may be that a file does not exist.
		return "", f.fail("path", fmt.Errorf("%w: %v", ErrNoDisk, err))
	}
	return path, nil
}

// outlive keeps f usable after the ctx that opened it is done: f can still send
// requests to the origin.
func (f *File) outlive(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	switch b := f.bytes.(type) {
	case *localFile:
		b.ctx = ctx
	case *remote:
		b.Detach(ctx)
	case *stream:
		b.ctx = ctx
	}
}
