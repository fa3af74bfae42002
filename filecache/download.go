package filecache

import (
	"context"
	"errors"
	"io/fs"

	"github.com/minio/crc64nvme"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// download is the fetching of an object for a flight, or for one caller past the disk.
type download struct {
	cache *Cache
	ctx   context.Context
	seat  *seat // nil: the object is not kept
	obj   Object
	id    ID
	store.Validation
}

// run receives the object from resp and keeps it. It asks once more from the start if
// the bytes turn out wrong or the object is replaced meanwhile, and once more past the
// disk if that lost them.
func (d *download) run(resp *Response) (source, error) {
	src, err := d.receive(resp, d.cache.concurrency)
	if errors.Is(err, ErrChecksum) || errors.Is(err, ErrChanged) {
		src, err = d.again()
	}
	if errors.Is(err, errLost) {
		d.seat = nil
		src, err = d.again()
	}
	return src, err
}

// again asks for the object once more and receives it in one piece.
func (d *download) again() (source, error) {
	d.At = d.cache.clock.Now()
	resp, err := d.cache.fetch(d.ctx, d.obj, Request{})
	if err == nil {
		d.Validation = resp.validated(d.Validation)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.seat != nil:
		return d.cache.gone(d.seat, d.id, d.Validation, err)
	case err != nil:
		return source{}, err
	}
	return d.receive(resp, 1)
}

// receive takes the object from resp and at most that many connections.
func (d *download) receive(resp *Response, connections int) (source, error) {
	src := source{Validation: d.Validation, object: object{id: d.id, etag: resp.ETag, size: resp.Size, modified: resp.LastModified}}
	if resp.Size < 0 {
		return d.receiveUnsized(resp)
	}
	to := d.cache.newSink(resp.Size, d.seat != nil)
	defer to.close()
	if to.full() {
		resp.Body.Close()
		return d.byRanges(src, to.lost)
	}
	sums := usable(d.id.expected(resp.Checksums))
	sum := blocks.NewDigest(resp.Size, expected(sums))
	err := transfer.Receive(d.ctx, d.version(src.object), resp.Body, to, sum, d.options(src.object, connections))
	if errors.Is(err, errNoRoom) {
		return d.byRanges(src, to.lost)
	}
	if err == nil {
		err = sum.Verify()
	}
	if err != nil {
		return source{}, err
	}
	if len(sums) == 0 {
		d.cache.stats.unsummed.Add(1)
	}
	if to.draft != nil {
		c, err := to.draft.Publish(meta(src, sums), sum, d.Validation, d.seat.Dropped)
		if err == nil {
			return sourceOf(c), nil
		}
		if errors.Is(err, store.ErrRevoked) {
			return source{}, err
		}
		to.toMemory()
	}
	if to.memory == nil {
		return d.byRanges(src, to.lost)
	}
	if crc64nvme.Checksum(to.memory) != sum.Whole() {
		return d.byRanges(src, true)
	}
	d.cache.stats.uncached.Add(1)
	src.crc = sum.Whole()
	src.bytes = &inMemory{bytes: to.memory}
	return src, nil
}

// version returns what, which is resumed and asked for in parts only if something tells
// that all parts are of it.
func (d *download) version(what object) transfer.Version {
	v := d.cache.version(d.obj, what)
	if !what.rangeable() {
		v.Part = nil
	}
	return v
}

// options say how to receive what. It comes over several connections only if its ETag
// is strong: a Version alone does not tell that an origin keeps to it.
func (d *download) options(what object, connections int) transfer.Options {
	opts := transfer.Options{Connections: connections, PartSize: d.cache.partSize}
	if strong(what.etag) == "" {
		opts.Connections = 1
	}
	if tell := d.cache.progress; tell != nil {
		opts.Progress = func(done int64) { tell(what.id, done, what.size) }
	}
	return opts
}

// meta returns what a copy is kept with.
func meta(src source, sums []Checksum) store.Meta {
	m := store.Meta{Key: store.Key(src.id), ETag: src.etag, Size: src.size, Modified: store.Unknown}
	if !src.modified.IsZero() {
		m.Modified = src.modified.UnixNano()
	}
	if len(sums) > 0 {
		m.Algorithm, m.Sum = byte(sums[0].Algorithm), sums[0].Sum
	}
	return m
}

// errLost is the error of a disk that does not give back what it took of an object
// that cannot be read by ranges.
var errLost = errors.New("the disk lost what was downloaded")

// errUnrangeable is the error of an object that can only be read by ranges, while
// nothing tells whether two of them are of the same version.
var errUnrangeable = errors.New("there is no room for a local copy, and the object cannot be read in parts, for it has neither a strong ETag nor a version")

// byRanges leaves an object at the origin that found no room, or that the disk
// lost.
func (d *download) byRanges(src source, lost bool) (source, error) {
	switch {
	case lost && (!src.rangeable() || src.id.sha256() != nil):
		return source{}, errLost
	case !src.rangeable():
		return source{}, errUnrangeable
	}
	d.cache.stats.uncached.Add(1)
	return src, nil
}

// openUncached opens the object without the disk, which has failed too often, at
// last by why.
func (c *Cache) openUncached(ctx context.Context, obj Object, id ID, why error) (*File, error) {
	v := store.Validation{At: c.clock.Now(), Flight: c.flights.Now()}
	resp, err := c.fetch(ctx, obj, Request{})
	if err != nil {
		return nil, err
	}
	c.miss(id, nil, why)
	d := download{cache: c, ctx: ctx, obj: obj, id: id, Validation: resp.validated(v)}
	src, err := d.run(resp)
	if err != nil {
		return nil, err
	}
	return c.newFile(ctx, obj, src)
}
