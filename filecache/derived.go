package filecache

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/flight"
)

// Derived returns an Object whose bytes are what make writes to dst when it is given obj
// as src, such as obj unpacked or converted. A Cache keeps them like those of any
// Object: verified, within the budget, for other processes and the next one. Several
// processes that need them at the same time make them once, on Linux.
//
// The result belongs to the version of obj that it was made of. It is as old as that,
// and when obj has another version it is made anew. It is also made anew under another
// name: name says what make does and should change with it, as in "index-v2". It must
// not be empty or contain a colon. To make the same bytes from the same version is up
// to make.
//
// An error of make is the error of Open. Nothing of what it wrote is kept or handed
// out; a result that was made before may be, within Options.StaleIfError. If make
// panics, so does Open. Its ctx is canceled when no Open waits for the result any more.
// It should bound what it writes: see LimitWriter. A result that finds room neither
// on disk nor in memory is made while it is read: make is called once to count its bytes,
// and again for each read that goes backwards.
//
// To make it, the Cache opens obj and keeps a copy of that, too. Forget of either one
// makes the next Open fetch obj and make the result from that. Only a Cache can fetch
// the Object: its Fetch fails for other callers.
func Derived(obj Object, name string, make func(ctx context.Context, src *File, dst io.Writer) error) Object {
	return &derived{obj, name, make}
}

// DefaultGunzipLimit is the most that Gunzip unpacks if it is given no limit, in bytes.
const DefaultGunzipLimit = 1 << 30

// Gunzip returns obj as it is before compression by gzip. To unpack more than limit
// bytes is an error that matches ErrTooLarge, since a small object can become arbitrarily
// large. Zero means DefaultGunzipLimit; a negative limit is an error of Open. The limit
// is part of the name: results for other limits are others. See Derived for the rest.
func Gunzip(obj Object, limit int64) Object {
	if limit == 0 {
		limit = DefaultGunzipLimit
	}
	return Derived(obj, fmt.Sprintf("gunzip-%d", limit), func(ctx context.Context, src *File, dst io.Writer) error {
		if limit < 0 {
			return fmt.Errorf("the limit is %d bytes: it must not be negative; zero means %d", limit, DefaultGunzipLimit)
		}
		r, err := gzip.NewReader(bufio.NewReaderSize(src, 64<<10))
		if err != nil {
			return err
		}
		_, err = io.Copy(LimitWriter(dst, limit), r)
		return err
	})
}

// ErrTooLarge is the error of more bytes than a limit allows.
var ErrTooLarge = errors.New("too large")

// LimitWriter returns a Writer that passes up to limit bytes on to w. A Write that would
// exceed the limit writes nothing and returns an error that matches ErrTooLarge.
func LimitWriter(w io.Writer, limit int64) io.Writer { return &limitWriter{w, limit, limit} }

type limitWriter struct {
	w           io.Writer
	limit, left int64
}

func (l *limitWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > l.left {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, l.limit)
	}
	n, err := l.w.Write(p)
	l.left -= int64(n)
	return n, err
}

type derived struct {
	src  Object
	name string
	make func(ctx context.Context, src *File, dst io.Writer) error
}

// The ID of what is derived tells that of its source, so that it can be forgotten with
// it, also if another process made it.
const (
	derivedPrefix = "derived:" // of the Origin. The name, a colon and the source's Origin follow
	derivedSuffix = "+derived" // of the Version, if the source has one
)

func (d *derived) ID() (ID, error) {
	switch {
	case d.src == nil:
		return ID{}, errors.New("the Object to derive from is nil")
	case d.make == nil:
		return ID{}, errors.New("the function that makes what is derived is nil")
	case d.name == "" || strings.Contains(d.name, ":"):
		return ID{}, fmt.Errorf("the name %q of what is derived is empty or contains a colon", d.name)
	}
	id, err := d.src.ID()
	if err != nil {
		return ID{}, err
	}
	id.Origin = derivedPrefix + d.name + ":" + id.Origin
	if id.Version != "" {
		id.Version += derivedSuffix
	}
	return id, nil
}

// source returns the ID of what id is derived from, if it is.
func (id ID) source() (ID, bool) {
	rest, ok := strings.CutPrefix(id.Origin, derivedPrefix)
	if !ok {
		return ID{}, false
	}
	_, id.Origin, ok = strings.Cut(rest, ":")
	id.Version = id.Version[:max(0, strings.LastIndex(id.Version, derivedSuffix))]
	return id, ok
}

// sources calls do for id and all that it is derived from.
func (id ID) sources(do func(ID)) {
	for ok := true; ok; id, ok = id.source() {
		do(id)
	}
}

// isSourceForgotten reports whether something that id is derived from may have been
// forgotten since v.
func (c *Cache) isSourceForgotten(id ID, v store.Validation) (forgotten bool) {
	src, ok := id.source()
	if !ok {
		return false
	}
	src.sources(func(id ID) {
		forgotten = forgotten || c.store.IsInvalidatedSince(store.Key(id), v.At)
	})
	return forgotten
}

// cacheKey is the key of the Cache that calls Fetch, in its context.
type cacheKey struct{}

// Fetch opens the source and returns what is made of it, or a part of that.
func (d *derived) Fetch(ctx context.Context, req Request) (*Response, error) {
	c, _ := ctx.Value(cacheKey{}).(*Cache)
	if c == nil {
		return nil, errors.New("filecache.Derived: Fetch needs a Cache to open the source: call Cache.Open")
	}
	src, err := c.openSource(ctx, d.src)
	if err != nil {
		return nil, err
	}
	etag := `"` + strings.Trim(src.Version(), `"`) + `"`
	resp := &Response{Size: -1, Framed: true, ETag: etag, LastModified: src.modified, sourceAt: &src.validation.At}
	switch {
	case req.IfMatch != "" && req.IfMatch != etag:
		src.Close()
		return nil, ErrChanged
	case req.IfNoneMatch == etag:
		src.Close()
		return &Response{NotModified: true, sourceAt: &src.validation.At}, nil
	}
	resp.Body = d.newMaking(ctx, src)
	if req.Offset == 0 && req.Length == 0 {
		return resp, nil
	}
	defer resp.Body.Close()
	part := partWriter{from: req.Offset, to: req.Offset + req.Length}
	if resp.Size, err = io.Copy(&part, resp.Body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(strings.NewReader(part.String()))
	return resp, nil
}

// openSource is Open, also after Close of the Cache.
func (c *Cache) openSource(ctx context.Context, obj Object) (*File, error) {
	id, err := obj.ID()
	if err != nil {
		return nil, err
	}
	f, err := c.openObject(ctx, obj, id)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: id.String(), Err: err}
	}
	return f, nil
}

// partWriter keeps the bytes between two offsets, or all after the first if to is not
// greater.
type partWriter struct {
	strings.Builder
	at, from, to int64
}

func (w *partWriter) Write(p []byte) (int, error) {
	n := int64(len(p))
	first, end := min(max(0, w.from-w.at), n), n
	if w.to > w.from {
		end = max(first, min(w.to-w.at, n))
	}
	w.Builder.Write(p[first:end])
	w.at += n
	return int(n), nil
}

// A making is the body of a Response: what make writes. Make is called by the first
// Read, so that it need not be if another process has made the same meanwhile.
type making struct {
	*io.PipeReader
	start  func()
	once   sync.Once
	cancel context.CancelFunc
	src    *File
}

func (d *derived) newMaking(ctx context.Context, src *File) *making {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	return &making{PipeReader: r, src: src, cancel: cancel, start: func() { go d.run(ctx, src, w) }}
}

func (m *making) Read(p []byte) (int, error) {
	m.once.Do(m.start)
	return m.PipeReader.Read(p)
}

// Close ends the making. It does not wait for a make that does not heed its ctx.
func (m *making) Close() error {
	m.once.Do(func() { m.src.Close() })
	m.cancel()
	return m.PipeReader.Close()
}

// run calls make, and tells the reader of w how that ended.
func (d *derived) run(ctx context.Context, src *File, w *io.PipeWriter) {
	err := errors.New("the function that makes it has called runtime.Goexit")
	defer func() {
		if p := flight.NewPanicError(recover()); p != nil {
			err = makePanic{p}
		}
		src.Close()
		if err != nil {
			err = fmt.Errorf("%s: %w", d.name, err)
		}
		w.CloseWithError(err)
	}()
	err = d.make(ctx, src, w)
}

// makePanic is the error of a make that panicked. A download may be read by a goroutine
// of its own, which must not panic.
type makePanic struct{ *flight.PanicError }

// rethrow panics if a make did that err is of.
func rethrow(err error) {
	if p := (makePanic{}); errors.As(err, &p) {
		panic(p.PanicError)
	}
}
