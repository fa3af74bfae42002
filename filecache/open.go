package filecache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// attempts bounds how often a copy may vanish or be forgotten between its publication
// and its opening. After that, the object is opened without the disk.
const attempts = 3

// Open opens the object for reading: the local copy if it is fresh, the copy after a
// conditional request if it is stale, and otherwise the origin's bytes.
//
// Concurrent Opens of an object share one request, unless it was sent more than MaxAge
// before the Open began. The error is a [*fs.PathError] that wraps the origin's own
// error or that of ctx. It matches [fs.ErrNotExist] if the origin reported that the
// object does not exist; for other failures see [Options.StaleIfError]. An invalid obj
// is another error. Faults of the disk are not errors, with one exception: an object
// that fits neither on disk nor in memory is read by ranges, so Open fails if it has
// neither a Version nor a strong ETag to identify its version.
//
// Reading needs the origin only if a block of the copy is corrupt or the object did not
// fit on disk. Requests for that use ctx and name the same version. If the origin no
// longer has it, reading fails, and another Open gets the new version.
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

// identify returns the ID of obj, or an error if obj or c cannot be used.
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
	if l := c.store.Lookup(store.Key(id)); l != nil && c.satisfies(id, l.Validation, began) {
		f, err := c.openLocal(ctx, obj, l)
		if err == nil {
			c.stats.hits.Add(1)
			return f, nil
		}
		c.store.DropCorrupt(l, err)
	}
	deadline, _ := flight.Latest(ctx)
	load := flight.Request[source]{
		Key:   id.key(),
		Terms: flight.Terms{MaxAge: clock.LongestInvocation},
		Load: func(ctx context.Context, fl *call) (source, error) {
			flight.GrowStack()
			return c.resolve(ctx, fl, obj, id, began, deadline)
		},
	}
	var why error
	for failed := 0; failed < attempts; failed++ {
		src, err := c.ask(ctx, load, id, began)
		switch {
		case errors.Is(err, store.ErrRevoked):
			continue
		case err != nil:
			rethrow(err)
			return c.serveStale(ctx, obj, id, err)
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
		c.store.DropCorrupt(src.local, err)
		why = err
	}
	return c.openUncached(ctx, obj, id, why)
}

// ask starts the load, or joins another caller's if its answer is valid for a caller
// that began at began. It repeats a joined load whose answer is too old, including the
// answer that the object does not exist.
func (c *Cache) ask(ctx context.Context, load flight.Request[source], id ID, began uint64) (source, error) {
	for {
		src, joined, err := c.flights.Do(ctx, load)
		if !joined {
			return src, err
		}
		c.stats.joins.Add(1)
		src.saved = nil
		switch {
		case err == nil && c.satisfies(id, src.Validation, began),
			errors.Is(err, fs.ErrNotExist) && src.Flight > began,
			err != nil && !errors.Is(err, fs.ErrNotExist):
			return src, err
		}
	}
}

// resolve returns the source of the object's current bytes, and fetches them if the local
// copy does not have them. deadline is the first caller's, or zero.
func (c *Cache) resolve(ctx context.Context, fl *call, obj Object, id ID, began uint64, deadline time.Time) (source, error) {
	key := store.Key(id)
	l, missing := c.store.Lookup(key), error(nil)
	switch {
	case l == nil:
		l, missing = c.store.Find(key)
	case !c.satisfies(id, l.Validation, began):
		l = c.store.Reread(l)
	}
	known := l
	if l != nil && c.isSourceForgotten(id, l.Validation) {
		l = nil // it is not used even if the source turns out to be of the same version
	}
	var req Request
	if l != nil {
		if c.satisfies(id, l.Validation, began) {
			src := sourceOf(l)
			src.saved = &c.stats.hits
			return src, nil
		}
		req.IfNoneMatch = l.ETag()
	}
	d := download{cache: c, ctx: ctx, flight: fl, obj: obj, id: id}
	d.patience = patience(id, deadline, l != nil && c.stale > 0 && c.mayServeStale(l.Validation))
	defer c.downloads.end(id, c.downloads.begin(ctx, id))
	defer d.close()
	resp, err := d.request(req)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.gone(fl, id, d.Validation, err)
	case err != nil:
		return source{}, err
	case resp.NotModified:
		c.stats.revalidated.Add(1)
		return c.revalidated(fl, l, d.Validation)
	}
	fetched, done := c.awaitPeer(ctx, id, resp, known, timeLeft(deadline))
	defer done()
	switch err := ctx.Err(); {
	case fetched != nil:
		resp.Body.Close()
		d.dropKept()
		src, err := c.revalidated(fl, fetched, d.Validation)
		src.saved = &c.stats.shared
		return src, err
	case err != nil: // the last caller has left
		resp.Body.Close()
		return source{}, err
	}
	c.miss(id, l, missing)
	return d.run(resp)
}

// revalidated records that l is a copy of the origin's current version.
func (c *Cache) revalidated(fl *call, l *store.Copy, v store.Validation) (source, error) {
	persist := c.maxAge > 0 || c.stale > 0 // otherwise no later process would read it
	confirmed, err := c.store.Revalidated(l, v, persist, fl.Revoked)
	if err != nil {
		return source{}, err
	}
	return sourceOf(confirmed), nil
}

// gone removes the copy of an object that the origin no longer has, according to err.
func (c *Cache) gone(fl *call, id ID, v store.Validation, err error) (source, error) {
	if revoked := c.store.Remove(store.Key(id), fl.Revoked); revoked != nil {
		return source{}, revoked
	}
	return source{Validation: v}, err
}

// ReadFile returns the object's bytes. Its errors are those of [Cache.Open] and of reading.
// If the copy is corrupt and the origin has replaced the object, it returns the new
// version.
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

// Path returns the path of a file with the object's bytes, for programs that open files
// themselves. Path verifies the whole file before it returns. On file systems with locks,
// the file is neither evicted nor removed until release is called. Calling release more
// than once is safe. Different versions of an object have different paths, and one version
// may have several: to notice a new version, compare [File.Version].
//
// The file is read-only. A program must neither change it nor create files beside it: open
// an SQLite database with "file:" + path + "?immutable=1", or SQLite may write a journal.
// Path replaces a copy that has such a file (-wal, -journal or -shm).
//
// A path is only as safe as the directories above it: a user with write access to
// [Options.Dir] could redirect the path before the program opens it. Path checks it once
// more before it returns. In a directory with the sticky bit, such as /tmp, other users
// cannot.
//
// Its errors are those of [Cache.Open], and [ErrNoDisk] if the object could not be kept.
func (c *Cache) Path(ctx context.Context, obj Object) (path string, release func(), err error) {
	var f *File
	for range attempts {
		if f, err = c.Open(ctx, obj); err != nil {
			return "", nil, err
		}
		if path, err = f.Path(); err == nil {
			return path, func() { f.Close() }, nil
		}
		f.Close()
		if !f.unusable.Load() {
			break
		}
	}
	return "", nil, err
}
