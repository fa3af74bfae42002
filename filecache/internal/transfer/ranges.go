package transfer

import (
	"context"
	"sync"
)

// Ranges reads an object by ranges from the origin, always of the same version. The
// origin has no checksum for a range. It is safe for concurrent use.
type Ranges struct {
	ctx       context.Context
	version   Version
	chunkSize int64

	mu    sync.Mutex
	chunk []byte // the last one read
	start int64  // where it begins
}

// NewRanges returns the Ranges of v, whose Part must not be nil. It asks with ctx, for
// chunkSize bytes at once.
func NewRanges(ctx context.Context, v Version, chunkSize int64) *Ranges {
	return &Ranges{ctx: ctx, version: v, chunkSize: chunkSize}
}

// ReadAt fills p from off on; both are within the object.
func (r *Ranges) ReadAt(p []byte, off int64) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) {
		at := off + int64(n)
		if at < r.start || at >= r.start+int64(len(r.chunk)) {
			if err := r.load(at - at%r.chunkSize); err != nil {
				return n, err
			}
		}
		n += copy(p[n:], r.chunk[at-r.start:])
	}
	return n, nil
}

func (r *Ranges) load(start int64) error {
	size := min(r.chunkSize, r.version.Size-start)
	if int64(cap(r.chunk)) < size {
		r.chunk = make([]byte, size)
	}
	chunk := r.chunk[:size]
	r.chunk = nil // until it is whole
	if err := r.version.Read(r.ctx, chunk, start); err != nil {
		return err
	}
	r.chunk, r.start = chunk, start
	return nil
}
