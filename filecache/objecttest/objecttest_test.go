package objecttest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/objecttest"
)

func TestMain(m *testing.M) {
	objecttest.SetPatience(time.Minute)
	goleak.VerifyTestMain(m)
}

// impatient shortens the time limit for a test whose object waits in vain.
func impatient(t *testing.T) {
	before := objecttest.SetPatience(2 * time.Second)
	t.Cleanup(func() { objecttest.SetPatience(before) })
}

// place is an origin in memory.
type place struct {
	mu         sync.Mutex
	content    []byte
	refuses    bool
	cut, stall int
}

func newPlace() *place {
	return &place{content: bytes.Repeat([]byte("0123456789abcdefghij-"), 5000), cut: -1, stall: -1}
}

// origin returns the functions that let a test control o.
func (p *place) origin() objecttest.Origin {
	set := func(f func()) { p.mu.Lock(); defer p.mu.Unlock(); f() }
	return objecttest.Origin{
		Content: p.content,
		Replace: func(content []byte) error { set(func() { p.content = content }); return nil },
		Remove:  func() error { set(func() { p.content = nil }); return nil },
		Refuse:  func(refuse bool) { set(func() { p.refuses = refuse }) },
		Cut:     func(after int) { set(func() { p.cut = after }) },
		Stall:   func(after int) { set(func() { p.stall = after }) },
	}
}

// thing is the correct Object of a place.
type thing struct{ *place }

func (thing) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "memory://place", Name: "thing"}, nil
}

func (o thing) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sum := crc32.ChecksumIEEE(o.content)
	etag, size := fmt.Sprintf(`"%x"`, sum), int64(len(o.content))
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case o.refuses:
		return nil, errors.New("no")
	case o.content == nil:
		return nil, fs.ErrNotExist
	case req.IfMatch != "" && req.IfMatch != etag:
		return nil, filecache.ErrChanged
	case req.IfNoneMatch == etag:
		return &filecache.Response{NotModified: true}, nil
	case req.Offset >= size:
		return nil, errors.New("the range begins past the end")
	}
	end := size
	if req.Length > 0 {
		end = min(size, req.Offset+req.Length)
	}
	return &filecache.Response{
		Body: o.body(ctx, o.content[req.Offset:end]), Size: size, ETag: etag,
		Checksums: []filecache.Checksum{{Algorithm: filecache.CRC32, Sum: []byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}}},
	}, nil
}

// body reads b, with the faults that a test has set.
type body struct {
	io.Reader
	end  error
	wait context.Context // waits for it before the end
	stop context.CancelFunc
}

func (p *place) body(ctx context.Context, b []byte) io.ReadCloser {
	ctx, stop := context.WithCancel(ctx)
	x := &body{end: io.EOF, stop: stop}
	if p.cut >= 0 && p.cut < len(b) {
		b, x.end = b[:p.cut], io.ErrUnexpectedEOF
	}
	if p.stall >= 0 && p.stall < len(b) {
		b, x.wait = b[:p.stall], ctx
	}
	x.Reader = bytes.NewReader(b)
	return x
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != io.EOF {
		return n, err
	}
	if b.wait != nil {
		<-b.wait.Done()
		return n, b.wait.Err()
	}
	return n, b.end
}

func (b *body) Close() error { b.stop(); return nil }

func TestObjectWithoutAFault(t *testing.T) {
	p := newPlace()
	if err := objecttest.TestObject(t.Context(), thing{p}, p.origin()); err != nil {
		t.Error(err)
	}
	if err := objecttest.TestObject(t.Context(), thing{p}, objecttest.Origin{Content: p.content}); err != nil {
		t.Errorf("without control of the origin: %v", err)
	}
}

// twin is a thing with a fault. It changes the ID, or the arguments or results of Fetch.
type twin struct {
	thing
	id  func(filecache.ID) filecache.ID
	in  func(filecache.Request) filecache.Request
	out func(req filecache.Request, resp *filecache.Response, err error) (*filecache.Response, error)
}

func (w twin) ID() (filecache.ID, error) {
	id, err := w.thing.ID()
	if w.id != nil {
		id = w.id(id)
	}
	return id, err
}

func (w twin) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	asked := req
	if w.in != nil {
		asked = w.in(req)
	}
	resp, err := w.thing.Fetch(ctx, asked)
	if w.out != nil {
		return w.out(req, resp, err)
	}
	return resp, err
}

// ok limits a change to responses with a body.
func ok(f func(req filecache.Request, r *filecache.Response)) func(filecache.Request, *filecache.Response, error) (*filecache.Response, error) {
	return func(req filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
		if err == nil && !r.NotModified {
			f(req, r)
		}
		return r, err
	}
}

// meaning replaces errors that match from by to.
func meaning(from, to error) func(filecache.Request, *filecache.Response, error) (*filecache.Response, error) {
	return func(_ filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
		if err != nil && (from == nil || errors.Is(err, from)) {
			err = to
		}
		return r, err
	}
}

type noClose struct{ io.ReadCloser }

func (noClose) Close() error { return nil }

// untilEOF treats any error as the end.
type untilEOF struct{ io.ReadCloser }

func (u untilEOF) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// For each check there is an object that fails this check and no other.
func TestBrokenTwins(t *testing.T) {
	count := 0
	for _, tt := range []struct {
		name string
		twin twin
		want string // part of the first error
		more int    // further errors caused by the same fault
	}{
		{"no name", twin{id: func(id filecache.ID) filecache.ID { id.Name = ""; return id }}, "empty Origin or Name", 0},
		{"long ID", twin{id: func(id filecache.ID) filecache.ID { id.Name = strings.Repeat("x", 5000); return id }}, "longer than", 0},
		{"ID that changes", twin{id: func(id filecache.ID) filecache.ID { count++; id.Name = fmt.Sprint(count); return id }}, "no copy would be found again", 0},

		{"nil", twin{out: func(filecache.Request, *filecache.Response, error) (*filecache.Response, error) { return nil, nil }}, "neither a Response", 0},
		{"no Body", twin{out: ok(func(_ filecache.Request, r *filecache.Response) { r.Body = nil })}, "no Body", 0},
		{"Size of the range", twin{out: ok(func(q filecache.Request, r *filecache.Response) {
			if q.Length > 0 {
				r.Size = q.Length
			}
		})}, "Size is", 4},
		{"a byte is missing", twin{out: ok(func(_ filecache.Request, r *filecache.Response) {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(r.Body, r.Size-1), r.Body}
		})}, "want 105000", 0},
		{"another byte", twin{out: ok(func(_ filecache.Request, r *filecache.Response) {
			b := r.Body
			first := make([]byte, 1)
			io.ReadFull(b, first)
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.MultiReader(strings.NewReader("?"), b), b}
		})}, "other bytes than the object", 0},
		{"wrong checksum", twin{out: ok(func(_ filecache.Request, r *filecache.Response) { r.Checksums[0].Sum = []byte{1, 2, 3, 4} })}, "in Checksums", 0},
		{"NotModified to all", twin{out: func(filecache.Request, *filecache.Response, error) (*filecache.Response, error) {
			return &filecache.Response{NotModified: true}, nil
		}}, "only a matching Request.IfNoneMatch", 0},

		{"no ETag", twin{out: ok(func(_ filecache.Request, r *filecache.Response) { r.ETag = "" })}, "never revalidates: ETag is empty", 0},
		{"ETag that changes", twin{out: ok(func(_ filecache.Request, r *filecache.Response) { count++; r.ETag = fmt.Sprint(count) })}, "never revalidates: ETag was", 0},
		{"IfNoneMatch ignored", twin{in: func(q filecache.Request) filecache.Request { q.IfNoneMatch = ""; return q }}, "never revalidates: Fetch with the current ETag", 1},
		{"NotModified with a body", twin{out: func(q filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
			if err == nil && r.NotModified {
				r.ETag = q.IfNoneMatch
			}
			return r, err
		}}, "other fields set", 0},
		{"IfNoneMatch of anything", twin{out: func(q filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
			if err == nil && q.IfNoneMatch != "" {
				return &filecache.Response{NotModified: true}, nil
			}
			return r, err
		}}, "another version's ETag as IfNoneMatch", 3},

		{"IfMatch ignored", twin{in: func(q filecache.Request) filecache.Request { q.IfMatch = ""; return q }}, "bytes of two versions would be mixed", 4},
		{"ErrChanged is another error", twin{out: meaning(filecache.ErrChanged, errors.New("412"))}, "does not match filecache.ErrChanged", 4},
		{"ErrChanged is ErrNotExist too", twin{out: meaning(filecache.ErrChanged, fmt.Errorf("%w %w", filecache.ErrChanged, fs.ErrNotExist))}, "matches fs.ErrNotExist too", 4},

		{"ranges ignored", twin{in: func(q filecache.Request) filecache.Request { q.Offset, q.Length = 0, 0; return q }}, "the Body has 105000 bytes, want", 6},
		{"Length ignored", twin{in: func(q filecache.Request) filecache.Request { q.Length = 0; return q }}, "the Body has", 2},
		{"no ETag for ranges", twin{out: ok(func(q filecache.Request, r *filecache.Response) {
			if q.Offset > 0 {
				r.ETag = ""
			}
		})}, "want that of the whole object", 3},
		{"range past the end", twin{in: func(q filecache.Request) filecache.Request { q.Offset = min(q.Offset, 104999); return q }}, "past the end has 1 bytes", 0},
		{"range past the end is no object", twin{out: func(q filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
			if err != nil && q.Offset > 105000 {
				err = fs.ErrNotExist
			}
			return r, err
		}}, "the range past the end: the error matches", 0},

		{"NewConnection fails", twin{out: func(q filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
			if q.NewConnection {
				return nil, errors.New("no")
			}
			return r, err
		}}, "Fetch with NewConnection", 0},
		{"another error for a canceled context", twin{out: meaning(context.Canceled, errors.New("late"))}, "does not match context.Canceled", 0},
		{"no object for a canceled context", twin{out: meaning(context.Canceled, fmt.Errorf("%w %w", context.Canceled, fs.ErrNotExist))},
			"canceled context: the error matches what says", 0},

		{"cut taken for the end", twin{out: ok(func(_ filecache.Request, r *filecache.Response) { r.Body = untilEOF{r.Body} })}, "ended with io.EOF after", 2},
		{"Close does nothing", twin{out: ok(func(_ filecache.Request, r *filecache.Response) { r.Body = noClose{r.Body} })}, "Close does not end", 0},

		{"refusal is no object", twin{out: func(_ filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
			if err != nil && err.Error() == "no" {
				err = fs.ErrNotExist
			}
			return r, err
		}}, "so the local copy would be removed", 2},
		{"refusal is a change", twin{out: func(_ filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
			if err != nil && err.Error() == "no" {
				err = filecache.ErrChanged
			}
			return r, err
		}}, "refuses: the error matches filecache.ErrChanged", 2},
		{"refusal is not modified", twin{out: func(q filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
			if err != nil && err.Error() == "no" && q.IfNoneMatch != "" {
				return &filecache.Response{NotModified: true}, nil
			}
			return r, err
		}}, "refuses returned NotModified", 0},
		{"removed is another error", twin{out: meaning(fs.ErrNotExist, errors.New("gone"))}, "does not match fs.ErrNotExist", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "Close does nothing" {
				impatient(t)
			}
			p := newPlace()
			tt.twin.thing = thing{p}
			err := objecttest.TestObject(t.Context(), tt.twin, p.origin())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want an error with %q", err, tt.want)
			}
			if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 1+tt.more {
				t.Errorf("%d errors, want %d: %v", n, 1+tt.more, err)
			}
		})
	}
}

// Faults of these objects show only when the origin changes or fails.
func TestTwinsOfOrigins(t *testing.T) {
	t.Run("ETag is the length", func(t *testing.T) {
		p := newPlace()
		w := twin{thing: thing{p}}
		tag := func(size int64) string { return fmt.Sprintf(`"%d"`, size) }
		w.in = func(q filecache.Request) filecache.Request {
			now := fmt.Sprintf(`"%x"`, crc32.ChecksumIEEE(p.content))
			if q.IfMatch == tag(int64(len(p.content))) {
				q.IfMatch = now
			}
			if q.IfNoneMatch == tag(int64(len(p.content))) {
				q.IfNoneMatch = now
			}
			return q
		}
		w.out = ok(func(_ filecache.Request, r *filecache.Response) { r.ETag = tag(r.Size) })
		want(t, objecttest.TestObject(t.Context(), w, p.origin()), "a stale copy would be served for ever")
	})
	t.Run("resumes by itself", func(t *testing.T) {
		p := newPlace()
		w := twin{thing: thing{p}}
		w.out = ok(func(q filecache.Request, r *filecache.Response) {
			if q == (filecache.Request{}) {
				r.Body = &resuming{ReadCloser: r.Body, from: thing{p}}
			}
		})
		want(t, objecttest.TestObject(t.Context(), w, p.origin()), "fetches the rest by itself")
	})
	t.Run("the context does not end a Read", func(t *testing.T) {
		impatient(t)
		p := newPlace()
		w := deaf{thing{p}}
		want(t, objecttest.TestObject(t.Context(), w, p.origin()), "the end of the context does not end a Read that waits")
	})
	t.Run("removed is served", func(t *testing.T) {
		p := newPlace()
		o := p.origin()
		o.Remove = func() error { return nil }
		want(t, objecttest.TestObject(t.Context(), thing{p}, o), "of a removed object succeeded", "of a removed object returned NotModified")
	})
	t.Run("refusal succeeds", func(t *testing.T) {
		p := newPlace()
		o := p.origin()
		o.Refuse = func(bool) {}
		want(t, objecttest.TestObject(t.Context(), thing{p}, o), "refuses succeeded with 105000 bytes")
	})
	t.Run("ranges in spite of NoRanges", func(t *testing.T) {
		p := newPlace()
		want(t, objecttest.TestObject(t.Context(), thing{p}, objecttest.Origin{Content: p.content, NoRanges: true}), "with Origin.NoRanges it must fail")
	})
	t.Run("not safe for concurrent use", func(t *testing.T) {
		p := newPlace()
		busy := make(chan struct{}, 1)
		w := twin{thing: thing{p}}
		w.out = ok(func(q filecache.Request, r *filecache.Response) {
			if q.Length != 8 {
				return
			}
			select {
			case busy <- struct{}{}:
			default:
				r.Body = io.NopCloser(strings.NewReader("another's"))
			}
		})
		want(t, objecttest.TestObject(t.Context(), w, objecttest.Origin{Content: p.content}), "concurrent calls of Fetch")
	})
	t.Run("hooks that fail", func(t *testing.T) {
		p := newPlace()
		o := p.origin()
		o.Replace = func([]byte) error { return errors.New("disk full") }
		want(t, objecttest.TestObject(t.Context(), thing{p}, o), "Origin.Replace: disk full")
		p = newPlace()
		o = p.origin()
		o.Remove = func() error { return errors.New("read-only") }
		want(t, objecttest.TestObject(t.Context(), thing{p}, o), "Origin.Remove: read-only")
	})
	t.Run("too little content", func(t *testing.T) {
		want(t, objecttest.TestObject(t.Context(), thing{newPlace()}, objecttest.Origin{Content: []byte("x")}), "less than 16 bytes")
	})
	t.Run("ID fails", func(t *testing.T) {
		want(t, objecttest.TestObject(t.Context(), filecache.WithSHA256(thing{newPlace()}, "x"), newPlace().origin()), "ID failed")
	})
}

func want(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want an error with %q", err, text)
		}
	}
}

// resuming requests the rest of a truncated body.
type resuming struct {
	io.ReadCloser
	from thing
	read int64
}

func (r *resuming) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.read += int64(n)
	if err == io.ErrUnexpectedEOF {
		resp, err := r.from.Fetch(context.Background(), filecache.Request{Offset: r.read})
		if err != nil {
			return n, err
		}
		r.ReadCloser = resp.Body
		return n, nil
	}
	return n, err
}

// deaf does not pass the context to the body.
type deaf struct{ thing }

func (d deaf) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return d.thing.Fetch(context.WithoutCancel(ctx), req)
}

// An origin may lack ETags or ranges, its objects may be immutable, and it may not send
// the size.
func TestOriginsThatCanDoLess(t *testing.T) {
	p := newPlace()
	w := twin{thing: thing{p}}
	w.in = func(q filecache.Request) filecache.Request { q.IfNoneMatch, q.IfMatch = "", ""; return q }
	w.out = func(q filecache.Request, r *filecache.Response, err error) (*filecache.Response, error) {
		if q.Offset > 0 || q.Length > 0 {
			return nil, errors.New("no ranges here")
		}
		if err == nil {
			r.ETag, r.Size, r.Checksums = "", -1, nil
		}
		return r, err
	}
	o := p.origin()
	o.NoETags, o.NoRanges = true, true
	if err := objecttest.TestObject(t.Context(), w, o); err != nil {
		t.Error(err)
	}
	p = newPlace()
	w = twin{thing: thing{p}, id: func(id filecache.ID) filecache.ID { id.Version = "1"; return id }}
	if err := objecttest.TestObject(t.Context(), w, p.origin()); err != nil {
		t.Error(err)
	}
}
