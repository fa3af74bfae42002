package filecache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/flight"
)

// maxFlight is the age beyond which a download is not joined any more: longer
// than a host lets an invocation run, it has been frozen.
const maxFlight = 15 * time.Minute

// attempts is how often a copy may vanish or be forgotten between its publication
// and its opening before the disk is left alone.
const attempts = 3

// seat is what a flight carries for an object.
type seat = flight.Call[source]

// source is where the bytes of an object can be had: in the local copy, or in
// memory, or else only at the origin.
type source struct {
	local *local
	bytes *inMemory
	saved *atomic.Int64 // counts that nothing was downloaded, once the copy is open
	object
	validity
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
// Opens of an object at the same time share a request, unless it was sent more
// than MaxAge before the Open began. The error is a *fs.PathError with the origin's
// own error, which matches fs.ErrNotExist if the origin said that there is no such
// object (see Options.StaleIfError for others), or with ctx's; only that of an obj
// that is not usable is another. No fault of the disk is an error, with one
// exception: an object that finds room neither on disk nor in memory is read by
// ranges, and that is refused if it has neither a Version nor a strong ETag to tell
// that all are of one piece.
//
// Reading needs the origin only when a block of the copy is damaged or when
// there is no room for a copy. It is then asked with ctx, for the same version: if
// that is gone, reading fails, and another Open gets the new one.
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
	began := c.flights.LastID()
	if l := c.lookup(id); l != nil && c.answers(id, l.validity, began) {
		f, err := c.openLocal(ctx, obj, l)
		if err == nil {
			c.stats.hits.Add(1)
			return f, nil
		}
		c.discard(l, err)
	}
	caller := ctx
	call := flight.Request[source]{
		Key:   id.key(),
		Terms: flight.Terms{MaxAge: maxFlight},
		Load: func(ctx context.Context, s *seat) (source, error) {
			growStack()
			return c.resolve(ctx, s, obj, id, began, timeLeft(caller))
		},
	}
	var why error
	for failed := 0; failed < attempts; failed++ {
		src, err := c.ask(ctx, call, id, began)
		switch {
		case errors.Is(err, errDropped):
			continue
		case err != nil:
			return c.insteadOf(ctx, obj, id, err)
		case src.local == nil:
			return c.newFile(ctx, obj, src)
		}
		f, err := c.openLocal(ctx, obj, src.local)
		if err == nil {
			if src.saved != nil {
				src.saved.Add(1)
			}
			return f, nil
		}
		c.discard(src.local, err)
		why = err
	}
	return c.openUncached(ctx, obj, id, why)
}

// ask makes the call, or joins another caller's whose answer is one for a caller
// who began then. Others may have asked before that, even whether the object
// exists.
func (c *Cache) ask(ctx context.Context, call flight.Request[source], id ID, began uint64) (source, error) {
	for {
		src, joined, err := c.flights.Do(ctx, call)
		if !joined {
			return src, err
		}
		c.stats.joins.Add(1)
		src.saved = nil
		switch {
		case err == nil && c.answers(id, src.validity, began),
			errors.Is(err, fs.ErrNotExist) && src.flight > began,
			err != nil && !errors.Is(err, fs.ErrNotExist):
			return src, err
		}
	}
}

// resolve finds out where the object's current bytes are, and fetches them if
// the local copy has not got them. The first caller has that much time left.
func (c *Cache) resolve(ctx context.Context, s *seat, obj Object, id ID, began uint64, left time.Duration) (source, error) {
	l, missing := c.lookup(id), error(nil)
	switch {
	case l == nil:
		l, missing = c.find(id)
	case !c.answers(id, l.validity, began):
		l = c.findAgain(l)
	}
	var req Request
	if l != nil {
		if c.answers(id, l.validity, began) {
			src := l.source()
			src.saved = &c.stats.hits
			return src, nil
		}
		req.IfNoneMatch = l.etag
	}
	v := validity{asked: c.clock.Now(), flight: s.ID()}
	resp, err := c.fetch(ctx, obj, req)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.gone(s, id, v, err)
	case err != nil:
		return source{}, err
	case resp.NotModified:
		c.stats.revalidated.Add(1)
		return c.confirm(s, l, v)
	}
	fetched, done := c.fetchedMeanwhile(ctx, id, resp, l, left)
	defer done()
	switch err := ctx.Err(); {
	case fetched != nil:
		resp.Body.Close()
		src, err := c.confirm(s, fetched, v)
		src.saved = &c.stats.shared
		return src, err
	case err != nil: // nobody waits any more
		resp.Body.Close()
		return source{}, err
	}
	c.miss(id, l, missing)
	return c.download(ctx, s, obj, id, resp, v)
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
	case resp.NotModified && req.IfNoneMatch == "":
		return nil, errors.New("the origin says not modified, but was not asked")
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
func (c *Cache) confirm(s *seat, l *local, v validity) (source, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	if s.Revoked() {
		return source{}, errDropped
	}
	e, confirmed := *l.entry, *l
	confirmed.entry, confirmed.validity = &e, v
	if c.maxAge > 0 || c.stale > 0 { // else no later process would look at it
		c.boot.stamp(&e, v.asked)
		if err := c.store.write(&e); err != nil {
			c.fault(err)
		}
	}
	c.remember(&confirmed)
	return confirmed.source(), nil
}

func (l *local) source() source {
	s := source{local: l, validity: l.validity, object: object{id: l.id, etag: l.etag, size: l.size}}
	if l.modified != unknownTime {
		s.modified = time.Unix(0, l.modified)
	}
	return s
}

// openLocal opens the data file of l.
func (c *Cache) openLocal(ctx context.Context, obj Object, l *local) (*File, error) {
	c.hold(l.data)
	f, st, err := c.store.openData(l.data, l.size)
	if err != nil {
		c.release(l.data)
		return nil, err
	}
	c.breaker.worked()
	src := c.checkedAs(l, st).source()
	d := &diskFile{cache: c, ctx: ctx, obj: obj, local: src.local, file: f}
	if err := d.prove(); err != nil {
		d.Close()
		return nil, err
	}
	return &File{object: src.object, bytes: d}, nil
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
		if l.checked != nil || !l.fetched {
			c.stats.verified.Add(1)
		}
	}
	if now-l.touched >= touchEvery {
		known.touched = now
		c.absent(c.store.disk.Touch(c.store.entryPath(entryName(l.id)), time.Unix(0, now)))
	}
	c.replace(l, &known)
	return &known
}

// ReadFile returns the object's bytes. Its errors are those of Open and of
// reading; if the copy is damaged and the origin has replaced the object, it
// returns the new one.
func (c *Cache) ReadFile(ctx context.Context, obj Object) ([]byte, error) {
	for first := true; ; first = false {
		f, err := c.Open(ctx, obj)
		if err != nil {
			return nil, err
		}
		b, err := f.readAllAndClose()
		if err == nil || !first {
			return b, err
		}
	}
}

// Path returns the name of a file with the object's bytes, for programs that
// open it by themselves. All of it is verified before. Until release is called,
// the file is neither evicted nor removed, as far as the file system has locks; it
// must not be written to. To call release twice does no harm.
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
	// What the disk says must not be matched: it may be that a file does not exist.
	return "", nil, &fs.PathError{Op: "path", Path: f.id.String(), Err: fmt.Errorf("%w: %v", ErrNoDisk, err)}
}
