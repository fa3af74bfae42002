package filecache

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// fetch calls obj.Fetch, counts it, and checks that the Response is complete.
func (c *Cache) fetch(ctx context.Context, obj Object, req Request) (*Response, error) {
	c.stats.requests.Add(1)
	resp, err := obj.Fetch(context.WithValue(ctx, cacheKey{}, c), req)
	switch {
	case err != nil:
		return nil, err
	case resp == nil || !resp.NotModified && resp.Body == nil:
		return nil, errors.New("the Object's Fetch returned no answer")
	case resp.NotModified && req.IfNoneMatch == "":
		return nil, errors.New("the origin answered an unconditional request with not modified")
	case !resp.NotModified && (resp.Size < -1 || resp.Size > blocks.MaxObject):
		resp.Body.Close()
		return nil, fmt.Errorf("the origin announced an impossible size: %d", resp.Size)
	}
	if len(resp.ETag) > store.MaxText {
		resp.ETag = ""
	}
	return resp, nil
}

// fetchPart requests length bytes at off, or all from off on if length is zero, of the
// version want, as far as its ETag identifies it. With fresh, it requests a new
// connection.
func (c *Cache) fetchPart(ctx context.Context, obj Object, want object, off, length int64, fresh bool) (io.ReadCloser, error) {
	etag := strong(want.etag)
	resp, err := c.fetch(ctx, obj, Request{IfMatch: etag, Offset: off, Length: length, NewConnection: fresh})
	if err != nil {
		return nil, err
	}
	if err := want.isSame(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// isSame returns an error if resp, the answer to a range request, is of another version.
func (o object) isSame(resp *Response) error {
	etag := strong(o.etag)
	switch {
	case resp.Size < 0:
		return errors.New("the origin sent a range without the size of the object")
	case etag != "" && resp.ETag != etag, resp.Size != o.size:
		return ErrChanged
	}
	return nil
}

// version describes an object for package transfer. Its Part does not check whether the
// origin can distinguish versions.
func (c *Cache) version(obj Object, what object) transfer.Version {
	return transfer.Version{
		Size: what.size,
		Part: func(ctx context.Context, off, length int64, fresh bool) (io.ReadCloser, error) {
			return c.fetchPart(ctx, obj, what, off, length, fresh)
		},
		Came: func(n int) { c.stats.originBytes.Add(int64(n)) },
	}
}
