package filecache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// maxFlight is the age beyond which a download is not joined any more: longer
// than a host lets an invocation run, it has been frozen.
const maxFlight = 15 * time.Minute

// attempts is how often a copy may vanish between its publication and its
// opening before the disk is left alone.
const attempts = 3

// source is where the bytes of an object can be had: in the local copy, or in
// memory, or else only at the origin.
type source struct {
	local *local
	bytes []byte
	object
	asked clock.Instant // when the request was sent that says so
}

// object is what an origin said about an object.
type object struct {
	id       ID
	etag     string
	size     int64
	modified time.Time
}

// errDropped is the result of a download that was under way when its object was
// forgotten.
var errDropped = errors.New("forgotten during the download")

// Open returns the object for reading: from the local copy if it is fresh, after
// a conditional request if it is not, and else from the origin.
//
// Concurrent Opens of an object share one request. The error is a *fs.PathError:
// the origin's own, which matches fs.ErrNotExist if there is no such object, or
// ctx's. No fault of the disk is an error.
//
// Reading needs the origin only when a block of the copy is damaged or when
// there is no room for a copy. It is then asked with ctx.
func (c *Cache) Open(ctx context.Context, obj Object) (*File, error) {
	id, err := c.identify(obj)
	if err != nil {
		return nil, fmt.Errorf("filecache.Open: %w", err)
	}
	f, err := c.openObject(ctx, obj, id)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: id.String(), Err: err}
	}
	return f, nil
}

// identify returns the ID of obj if it can be opened.
func (c *Cache) identify(obj Object) (ID, error) {
	if c.closed.Load() {
		return ID{}, fs.ErrClosed
	}
	if obj == nil {
		return ID{}, errors.New("the Object is nil")
	}
	id, err := obj.ID()
	if err == nil {
		err = id.validate()
	}
	return id, err
}

func (c *Cache) openObject(ctx context.Context, obj Object, id ID) (*File, error) {
	began := c.clock.Now()
	if l := c.lookup(id); l != nil && c.fresh(l, began) {
		f, err := c.openLocal(ctx, obj, l)
		if err == nil {
			c.stats.hits.Add(1)
			return f, nil
		}
		c.discard(l, err)
	}
	for range attempts {
		src, joined, err := c.flights.Do(ctx, id.key(), maxFlight,
			func(ctx context.Context, fl *flight.Flight[source]) (source, error) {
				return c.resolve(ctx, fl, obj, id, began)
			})
		if joined {
			c.stats.joins.Add(1)
		}
		switch {
		case errors.Is(err, errDropped), err == nil && joined && !c.answers(src, began):
			continue
		case err != nil:
			return nil, err
		case src.local == nil:
			return c.newFile(ctx, obj, src), nil
		}
		f, err := c.openLocal(ctx, obj, src.local)
		if err == nil {
			return f, nil
		}
		c.discard(src.local, err)
	}
	return c.openUncached(ctx, obj, id)
}

// answers reports whether what another caller learned from the origin is an
// answer to a question asked at began: it is fresh, or was asked later.
func (c *Cache) answers(src source, began clock.Instant) bool {
	return src.id.Version != "" || src.asked.Mono > began.Mono || c.recent(src.asked, c.clock.Now())
}

// resolve finds out where the object's current bytes are, and fetches them if
// the local copy has not got them.
func (c *Cache) resolve(ctx context.Context, fl *flight.Flight[source], obj Object, id ID, began clock.Instant) (source, error) {
	l := c.find(id)
	asked := c.clock.Now()
	var req Request
	if l != nil {
		if c.freshSince(l, began, asked) {
			c.stats.hits.Add(1)
			return l.source(), nil
		}
		req.IfNoneMatch = l.etag
	}
	resp, err := c.fetch(ctx, obj, req)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.drop(id)
		return source{}, err
	case err != nil:
		return source{}, err
	case !resp.NotModified:
		c.stats.misses.Add(1)
		return c.download(ctx, fl, obj, id, resp, asked)
	case req.IfNoneMatch == "":
		return source{}, errors.New("the origin says not modified, but was not asked")
	}
	c.stats.revalidated.Add(1)
	return c.confirm(fl, l, asked)
}

// fetch is obj.Fetch, counted and with the answer checked for what must be there.
func (c *Cache) fetch(ctx context.Context, obj Object, req Request) (*Response, error) {
	c.stats.requests.Add(1)
	resp, err := obj.Fetch(ctx, req)
	switch {
	case err != nil:
		return nil, err
	case resp == nil || !resp.NotModified && resp.Body == nil:
		return nil, errors.New("the Object's Fetch returned no answer")
	case !resp.NotModified && (resp.Size < 0 || resp.Size > maxSize):
		resp.Body.Close()
		return nil, fmt.Errorf("the origin did not say the size, or an impossible one: %d", resp.Size)
	}
	if len(resp.ETag) > maxText {
		resp.ETag = ""
	}
	return resp, nil
}

// maxSize is far beyond any object, and within what can be calculated with.
const maxSize = 1 << 50

// confirm notes that the origin still has what l is a copy of.
func (c *Cache) confirm(fl *flight.Flight[source], l *local, asked clock.Instant) (source, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	if fl.Dropped() {
		return source{}, errDropped
	}
	e, confirmed := *l.entry, *l
	confirmed.entry, confirmed.validated = &e, asked
	if c.maxAge > 0 { // else no later process would look at it
		c.boot.stamp(&e, asked)
		if err := c.store.write(&e); err != nil {
			c.fault(err)
		}
	}
	c.remember(&confirmed)
	return confirmed.source(), nil
}

// drop removes the copy of an object that the origin no longer has.
func (c *Cache) drop(id ID) error {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.mu.Lock()
	delete(c.known, id)
	c.mu.Unlock()
	e, _, err := c.readEntry(id)
	if err != nil {
		// What cannot be read is a miss anyway.
		c.absent(err)
		return nil
	}
	return c.removeEntry(e)
}

func (l *local) source() source {
	s := source{local: l, asked: l.validated, object: object{id: l.id, etag: l.etag, size: l.size}}
	if l.modified != unknownTime {
		s.modified = time.Unix(0, l.modified)
	}
	return s
}

// openLocal opens the data file of l.
func (c *Cache) openLocal(ctx context.Context, obj Object, l *local) (*File, error) {
	f, err := c.store.disk.Open(c.store.dataPath(l.data))
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && (!fi.Mode().IsRegular() || fi.Size() != l.size || !ours(fi)) {
		err = &fs.PathError{Op: "check", Path: c.store.dataPath(l.data), Err: errors.New("not the file that was written")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	src := c.checkedAs(l, stampOf(fi)).source()
	file := c.newFile(ctx, obj, src)
	file.bytes = &diskFile{cache: c, ctx: ctx, obj: obj, local: src.local, file: f}
	c.hold(l.data)
	return file, nil
}

// checkedAs returns l with the set of its verified blocks: the one it has, if the
// file is the same as then, or a new one. It notes on disk that l was used.
func (c *Cache) checkedAs(l *local, st stamp) *local {
	now := c.clock.Now().Wall
	if l.holds(st) && now-l.touched < touchEvery {
		return l
	}
	known := *l
	if !l.holds(st) {
		known.stamp, known.checked = st, newBlockSet(len(l.blocks), now)
	}
	if now-l.touched >= touchEvery {
		known.touched = now
		c.absent(c.store.disk.Touch(c.store.entryPath(entryName(l.id)), time.Unix(0, now)))
	}
	c.replace(l, &known)
	return &known
}

// hold and release count how many Files have a data file open.
func (c *Cache) hold(data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[data]++
}

func (c *Cache) release(data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[data]--; c.open[data] == 0 {
		delete(c.open, data)
	}
}

// ReadFile returns the object's bytes. Its errors are those of Open.
func (c *Cache) ReadFile(ctx context.Context, obj Object) ([]byte, error) {
	f, err := c.Open(ctx, obj)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, f.size)
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		return nil, err
	}
	return b, nil
}

// Path returns the name of a file with the object's bytes, for programs that
// open it by themselves. All of it is verified before. Until release is called,
// the file is neither evicted nor removed; it must not be written to.
//
// Its errors are those of Open, and ErrNoDisk if the object could not be kept.
func (c *Cache) Path(ctx context.Context, obj Object) (path string, release func(), err error) {
	var f *File
	for range attempts {
		if f, err = c.Open(ctx, obj); err != nil {
			return "", nil, err
		}
		d, ok := f.bytes.(*diskFile)
		if !ok {
			f.Close()
			return "", nil, &fs.PathError{Op: "path", Path: f.id.String(), Err: ErrNoDisk}
		}
		if err = d.pin(); err == nil {
			return c.store.dataPath(d.local.data), func() { f.Close() }, nil
		}
		f.Close()
		c.discard(d.local, err)
	}
	return "", nil, &fs.PathError{Op: "path", Path: f.id.String(), Err: fmt.Errorf("%w: %w", ErrNoDisk, err)}
}

// Forget removes the local copy of obj, for use after the object was replaced
// at the origin. No Open that starts after it uses what was fetched before it: a
// download under way is not joined any more and not kept. Other processes do not
// hear of it, unless they read the directory anew. It fails only if obj is not
// usable.
func (c *Cache) Forget(obj Object) error {
	id, err := c.identify(obj)
	if err != nil {
		return fmt.Errorf("filecache.Forget: %w", err)
	}
	c.flights.Forget(id.key()) // first: see Flight.Dropped
	if c.drop(id) != nil {
		c.distrust()
	}
	return nil
}

// Clear removes all local copies, as Forget does.
func (c *Cache) Clear() {
	c.flights.ForgetAll()
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.mu.Lock()
	clear(c.known)
	c.mu.Unlock()
	if err := c.store.clear(); err != nil {
		c.fault(err)
		c.distrust()
	}
	c.budget.forget()
}

// distrust makes the origin be asked about every copy that there is: some should
// be gone, but could not be removed.
func (c *Cache) distrust() { c.notBefore.Store(c.clock.Now().Mono) }
