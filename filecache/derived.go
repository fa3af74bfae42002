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

// Derived returns an Object made from obj, such as obj unpacked or converted: make reads
// obj from src and writes the result to dst. A Cache keeps the result like any Object:
// verified, within the budget, for other processes and the next one. On Linux, if several
// processes need the result at the same time, one of them makes it.
//
// The result belongs to one version of obj and has the same age. It is made again when
// obj has another version, or under another name. Change name whenever make changes, as
// in "index-v2"; it must not be empty, contain a colon or begin with "filecache.". make must
// produce the same bytes from the same version.
//
// Open returns the error of make, and the bytes written before it are discarded. Within
// [Options.StaleIfError], Open serves an earlier result instead. If make panics, so does
// Open. Its ctx is canceled when the last Open that waits for the result returns. make
// should bound its output: see [LimitWriter]. If the result fits neither on disk nor in
// memory, it is made while it is read: make is called once to count the bytes, and again
// for each read that goes backwards.
//
// The Cache also keeps a copy of obj. After Forget of obj or of the result, the next Open
// fetches obj and makes the result again. Only a Cache can fetch the Object: Fetch fails
// for other callers.
func Derived(obj Object, name string, make func(ctx context.Context, src *File, dst io.Writer) error) Object {
	return &derived{obj, name, make, false}
}

// ownPrefix starts the names of the derived objects of this package.
const ownPrefix = "filecache."

// derivedHere is Derived with a name that callers cannot use.
func derivedHere(obj Object, name string, make func(ctx context.Context, src *File, dst io.Writer) error) Object {
	return &derived{obj, ownPrefix + name, make, true}
}

// DefaultGunzipLimit is the limit of [Gunzip], in bytes, if the caller passes zero.
const DefaultGunzipLimit = 1 << 30

// Gunzip returns obj decompressed by gzip. If the result is larger than limit bytes,
// Open returns an error that matches [ErrTooLarge], since a small object can expand
// without bound. Zero means [DefaultGunzipLimit]; a negative limit is an error of Open.
// Results with different limits are different objects. See [Derived] for the rest.
func Gunzip(obj Object, limit int64) Object {
	if limit == 0 {
		limit = DefaultGunzipLimit
	}
	return derivedHere(obj, fmt.Sprintf("gunzip-%d", limit), func(ctx context.Context, src *File, dst io.Writer) error {
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

// ErrTooLarge reports more bytes than a limit allows.
var ErrTooLarge = errors.New("too large")

// LimitWriter returns a Writer that writes up to limit bytes to w. A Write that would
// exceed the limit writes nothing and returns an error that matches [ErrTooLarge].
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
	here bool // made by derivedHere
}

// The ID of a derived object includes that of its source, so that Forget of the source
// also applies to results that another process made.
const (
	derivedPrefix = "derived:" // of the Origin. The name, a colon and the source's Origin follow
	derivedSuffix = "+derived" // of the Version, if the source has one
)

func (d *derived) ID() (ID, error) {
	switch {
	case d.src == nil:
		return ID{}, errors.New("the Object to derive from is nil")
	case d.make == nil:
		return ID{}, errors.New("the function that makes the derived object is nil")
	case d.name == "" || strings.Contains(d.name, ":"):
		return ID{}, fmt.Errorf("the name %q of the derived object is empty or contains a colon", d.name)
	case !d.here && strings.HasPrefix(d.name, ownPrefix):
		return ID{}, fmt.Errorf("the name %q of the derived object begins with %q, which is reserved: choose another name", d.name, ownPrefix)
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

// source returns the ID that id is derived from. ok is false if id is not derived.
func (id ID) source() (ID, bool) {
	rest, ok := strings.CutPrefix(id.Origin, derivedPrefix)
	if !ok {
		return ID{}, false
	}
	_, id.Origin, ok = strings.Cut(rest, ":")
	id.Version = id.Version[:max(0, strings.LastIndex(id.Version, derivedSuffix))]
	return id, ok
}

// sources calls do for id, its source, that one's source, and so on.
func (id ID) sources(do func(ID)) {
	for ok := true; ok; id, ok = id.source() {
		do(id)
	}
}

// isSourceForgotten reports whether a source of id may have been forgotten since v.
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

// Fetch opens the source and returns the result of make, or the requested part.
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

// partWriter passes on the bytes from one offset to another, or all from the first
// offset on if to is not greater.
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

// A making is a Response body with the output of make. The first Read calls make: the
// call is saved if another process has made the same result in the meantime.
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

// Close cancels make. It does not wait for a make that ignores its ctx.
func (m *making) Close() error {
	m.once.Do(func() { m.src.Close() })
	m.cancel()
	return m.PipeReader.Close()
}

// run calls make and passes its error to the reader of w.
func (d *derived) run(ctx context.Context, src *File, w *io.PipeWriter) {
	err := errors.New("the function that makes the derived object called runtime.Goexit")
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

// makePanic carries a panic of make as an error: a download may be read in its own
// goroutine, where a panic would end the process.
type makePanic struct{ *flight.PanicError }

// rethrow panics if err carries a panic of make.
func rethrow(err error) {
	if p := (makePanic{}); errors.As(err, &p) {
		panic(p.PanicError)
	}
}
