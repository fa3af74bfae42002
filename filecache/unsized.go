package filecache

import (
	"errors"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// errUnproven reports an object of unknown length that does not fit into memory and cannot
// be kept, because it may be incomplete.
var errUnproven = errors.New("the origin sent neither the object's size nor a checksum, so the object can only be held in memory, where there is no room")

// receiveUnsized receives an object of unknown size. It keeps the object if framing or a
// checksum shows that the body is complete.
func (d *download) receiveUnsized(resp *Response, src source) (source, error) {
	src.unsized = true
	sums := usable(d.id.expected(resp.Checksums))
	to := d.cache.newSink(unknownSize, d.flight != nil)
	defer to.close()
	v := transfer.Version{Size: unknownSize, Came: func(n int) { d.cache.stats.originBytes.Add(int64(n)) }}
	parts := transfer.NewParts(v, expected(sums), 1)
	first := transfer.Answer{Body: resp.Body, End: blocks.MaxObject}
	err := transfer.Receive(d.ctx, v, first, to, parts, d.options(src.object, 1))
	switch {
	case errors.Is(err, errNoRoom):
		return d.byRanges(src, to.lost)
	case err != nil:
		return src, err
	}
	sum := parts.Digest()
	if err := sum.Verify(); err != nil {
		return src, err
	}
	src.size = sum.Done()
	to.end(src.size)
	if !resp.Framed && len(sums) == 0 && to.draft != nil {
		if to.toMemory(); to.memory == nil {
			return src, errUnproven
		}
	}
	return d.store(src, to, sum, sums)
}
