package filecache

import (
	"context"
	"errors"
	"io"
	"sync"
)

// remote reads an object that fits neither the disk nor memory by ranges from
// the origin, always of the same version. The origin has no checksum for a range.
type remote struct {
	cache *Cache
	ctx   context.Context // of Open
	obj   Object
	object

	mu    sync.Mutex
	chunk []byte // the last one read
	start int64  // where it begins
}

// chunkSize is how much is asked for at once: enough that the wait for its first
// byte does not dominate.
const chunkSize = 8 << 20

func (r *remote) ReadAt(p []byte, off int64) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) {
		at := off + int64(n)
		if at < r.start || at >= r.start+int64(len(r.chunk)) {
			if err := r.load(at - at%chunkSize); err != nil {
				return n, err
			}
		}
		n += copy(p[n:], r.chunk[at-r.start:])
	}
	return n, nil
}

func (r *remote) load(start int64) error {
	size := min(chunkSize, r.size-start)
	if int64(cap(r.chunk)) < size {
		r.chunk = make([]byte, size)
	}
	chunk := r.chunk[:size]
	r.chunk = nil // until it is whole
	if err := r.cache.fetchRange(r.ctx, r.obj, r.object, chunk, start); err != nil {
		return err
	}
	r.chunk, r.start = chunk, start
	return nil
}

func (r *remote) Close() error { return nil }

// fetchRange fills p with the bytes from off on of the version that want is.
func (c *Cache) fetchRange(ctx context.Context, obj Object, want object, p []byte, off int64) error {
	resp, err := c.fetch(ctx, obj, Request{IfMatch: want.etag, Offset: off, Length: int64(len(p))})
	if err != nil {
		return err
	}
	if resp.NotModified {
		return errors.New("the origin says not modified, but was not asked")
	}
	defer resp.Body.Close()
	if resp.ETag != want.etag || resp.Size != want.size ||
		want.etag == "" && !resp.LastModified.Equal(want.modified) {
		return ErrChanged
	}
	n, err := io.ReadFull(resp.Body, p)
	c.stats.originBytes.Add(int64(n))
	return err
}
