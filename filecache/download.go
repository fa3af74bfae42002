package filecache

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
	"github.com/warmcache/warmcache/internal/flight"
)

// download fetches an object for a flight, or for one caller without the disk.
type download struct {
	cache  *Cache
	ctx    context.Context
	flight *call // nil: the object is not kept
	obj    Object
	id     ID
	store.Validation
	patience transfer.Patience
	kept     *interrupted // an earlier download that this one continues
}

// run receives the object from resp and keeps it. It sends one more request if the
// bytes are corrupt, if the object is replaced during the download, or if the origin
// falls silent and the rest cannot be requested. If the disk lost the bytes, it sends
// another one and does not use the disk.
func (d *download) run(resp *Response) (source, error) {
	src, err := d.receive(resp, d.cache.concurrency)
	stalled := errors.Is(err, transfer.ErrStalled) && !src.rangeable()
	if d.ctx.Err() != nil { // the last caller has left
		return src, err
	}
	if errors.Is(err, ErrChecksum) || errors.Is(err, ErrChanged) || stalled {
		src, err = d.again(Request{NewConnection: stalled})
	}
	if errors.Is(err, errLost) {
		d.flight = nil
		src, err = d.again(Request{})
	}
	return src, err
}

// again requests the object once more and receives it in one piece.
func (d *download) again(req Request) (source, error) {
	d.At = d.cache.clock.Now()
	resp, err := d.fetch(req)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.flight != nil:
		return d.cache.gone(d.flight, d.id, d.Validation, err)
	case err != nil:
		return source{}, err
	}
	return d.receive(resp, 1)
}

// receive receives the object from resp over at most that many connections. The source
// describes the object even if err is not nil.
func (d *download) receive(resp *Response, connections int) (source, error) {
	src := source{Validation: d.Validation, object: object{id: d.id, etag: resp.ETag, size: resp.Size, modified: resp.LastModified}}
	if resp.Size < 0 {
		return d.receiveUnsized(resp, src)
	}
	sums := usable(d.id.expected(resp.Checksums))
	var to *sink
	var parts *transfer.Parts
	if kept := d.takeKept(); kept != nil {
		sums, parts = kept.sums, kept.parts
		to = &sink{cache: d.cache, size: resp.Size, draft: kept.draft}
	} else {
		to = d.cache.newSink(resp.Size, d.flight != nil)
	}
	defer to.close()
	if to.full() {
		resp.Body.Close()
		return d.byRanges(src, to.lost)
	}
	v := d.version(src.object)
	if parts == nil {
		parts = transfer.NewParts(v, expected(sums), d.partSize(src.object, connections))
	}
	first := transfer.Answer{Body: resp.Body}
	first.Off, first.End = parts.Next()
	err := transfer.Receive(d.ctx, v, first, to, parts, d.options(src.object, connections))
	if errors.Is(err, errNoRoom) {
		return d.byRanges(src, to.lost)
	}
	if err != nil {
		d.interrupt(to, &interrupted{object: src.object, sums: sums, parts: parts}, err)
		return src, err
	}
	sum := parts.Digest()
	if err := sum.Verify(); err != nil {
		return src, err
	}
	return d.store(src, to, sum, sums)
}

// interrupt keeps the received part of a download that ended with err, unless err means
// that the bytes are useless.
func (d *download) interrupt(to *sink, i *interrupted, err error) {
	if errors.Is(err, ErrChecksum) || errors.Is(err, ErrChanged) || d.flight == nil {
		return
	}
	if i.draft = to.takeDraft(); i.draft != nil {
		d.keep(i)
	}
}

// store publishes the received object as a copy, or holds it in memory.
func (d *download) store(src source, to *sink, sum *blocks.Digest, sums []Checksum) (source, error) {
	if len(sums) == 0 {
		d.cache.stats.unsummed.Add(1)
	}
	if to.draft != nil {
		c, err := to.draft.Publish(meta(src, sums), sum, d.Validation, d.flight.Revoked)
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
	src.bytes = to.handOver()
	return src, nil
}

// version describes an object for package transfer. It can be resumed and requested in parts
// only if its ETag or Version distinguishes it from others.
func (d *download) version(what object) transfer.Version {
	v := d.cache.version(d.obj, what)
	if !what.rangeable() {
		v.Part = nil
	}
	return v
}

// partSize returns the length of an object's parts, or its size for one piece. Several
// connections require a strong ETag: an origin may not keep its promise of a Version.
func (d *download) partSize(what object, connections int) int64 {
	if strong(what.etag) == "" || connections < 2 {
		return max(1, what.size)
	}
	return d.cache.partSize
}

// options returns the options for receiving an object.
func (d *download) options(what object, connections int) transfer.Options {
	opts := transfer.Options{Connections: connections, Patience: d.patience}
	if tell := d.cache.progress; tell != nil {
		opts.Progress = func(done int64) { tell(what.id, done, what.size) }
	}
	return opts
}

// meta returns the metadata of a copy.
func meta(src source, sums []Checksum) store.Meta {
	m := store.Meta{Key: store.Key(src.id), ETag: src.etag, Size: src.size, Modified: store.Unknown}
	if knowable(src.modified) {
		m.Modified = src.modified.UnixNano()
	}
	if len(sums) > 0 {
		m.Algorithm, m.Sum = byte(sums[0].Algorithm), sums[0].Sum
	}
	return m
}

// knowable reports whether an entry can store t: from 1678 to 2261, and not the zero Time.
func knowable(t time.Time) bool { return t.Year() > 1677 && t.Year() < 2262 }

// errLost reports that the disk returned other bytes than were written, for an object
// that cannot be read by ranges.
var errLost = errors.New("the disk lost the downloaded bytes")

// errUnrangeable reports that an object would have to be read by ranges, but its
// versions cannot be distinguished.
var errUnrangeable = errors.New("there is no room for a local copy, and the object cannot be read by ranges, since it has neither a strong ETag nor a Version")

// byRanges returns a source that reads the object by ranges, after it found no room or
// the disk lost it.
func (d *download) byRanges(src source, lost bool) (source, error) {
	_, isDerived := src.id.source()
	switch {
	case isDerived && !lost && src.id.sha256() == nil:
		return d.streamed(src)
	case lost && (!src.rangeable() || src.id.sha256() != nil):
		return source{}, errLost
	case !src.rangeable():
		return source{}, errUnrangeable
	}
	d.cache.stats.uncached.Add(1)
	return src, nil
}

// openUncached opens the object without the disk, whose last error was why.
func (c *Cache) openUncached(ctx context.Context, obj Object, id ID, why error) (*File, error) {
	deadline, _ := flight.Latest(ctx)
	d := download{cache: c, ctx: ctx, obj: obj, id: id, patience: patience(id, deadline, false)}
	d.Validation = store.Validation{At: c.clock.Now(), Flight: c.flights.LastID()}
	resp, err := d.fetch(Request{})
	if err != nil {
		return nil, err
	}
	c.miss(id, nil, why)
	src, err := d.run(resp)
	if err != nil {
		return nil, err
	}
	return c.newFile(ctx, obj, src)
}
