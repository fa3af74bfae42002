package filecache

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// remote reads an object that fits neither the disk nor memory by ranges from
// the origin, always of the same version. The origin has no checksum for a range.
type remote struct {
	cache *Cache
	ctx   context.Context // of Open
	obj   Object
	object
	chunkSize int64

	mu    sync.Mutex
	chunk []byte // the last one read
	start int64  // where it begins
}

// chunkSize is how much is asked for at once: enough that the wait for its first
// byte does not dominate. Where memory is short it is blocks.MinSize.
const chunkSize = 8 << 20

// errUnpinned is the error of an object that can only be read by ranges, while
// nothing tells whether two of them are of the same version.
var errUnpinned = errors.New("there is no room for a local copy, and the object cannot be read in parts, for it has neither a strong ETag nor a version")

// pinned reports whether ranges can be asked for that are of this version.
func (o object) pinned() bool { return o.id.Version != "" || strong(o.etag) != "" }

// strong returns an ETag if equal ones mean equal bytes. Others start with W/.
func strong(etag string) string {
	if strings.HasPrefix(etag, "W/") {
		return ""
	}
	return etag
}

func (c *Cache) newRemote(ctx context.Context, obj Object, what object) *remote {
	r := &remote{cache: c, ctx: ctx, obj: obj, object: what, chunkSize: blocks.MinSize}
	if c.memory.take(chunkSize) {
		r.chunkSize = chunkSize
	}
	return r
}

func (r *remote) ReadAt(p []byte, off int64) (n int, err error) {
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

func (r *remote) load(start int64) error {
	size := min(r.chunkSize, r.size-start)
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

func (r *remote) Close() error {
	if r.chunkSize == chunkSize {
		r.cache.memory.give(chunkSize)
	}
	return nil
}

// fetchRange fills p with the bytes from off on of the version that want is, as
// far as its ETag can tell.
func (c *Cache) fetchRange(ctx context.Context, obj Object, want object, p []byte, off int64) error {
	resp, err := c.fetchPart(ctx, obj, want, off, int64(len(p)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.ReadFull(resp.Body, p)
	c.stats.originBytes.Add(int64(n))
	if err == io.EOF { // which would be taken for the end of the object
		err = io.ErrUnexpectedEOF
	}
	return err
}

// fetchPart asks for length bytes from off on, or all if length is zero.
func (c *Cache) fetchPart(ctx context.Context, obj Object, want object, off, length int64) (*Response, error) {
	etag := strong(want.etag)
	resp, err := c.fetch(ctx, obj, Request{IfMatch: etag, Offset: off, Length: length})
	if err != nil {
		return nil, err
	}
	if etag != "" && resp.ETag != etag || resp.Size != want.size {
		resp.Body.Close()
		return nil, ErrChanged
	}
	return resp, nil
}
