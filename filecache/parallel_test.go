package filecache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// rangesOrigin is an origin whose answers to range requests can be controlled by the
// requested range. Ranges arrive in any order.
type rangesOrigin struct {
	*origin
	before    func(Request) error                      // returns the error of the request
	body      func(req Request, b io.Reader) io.Reader // of an answer
	slowUntil func() bool                              // plain answers wait until it returns true
	ranges    chan struct{}                            // closed when a range has been requested
	once      sync.Once
	now       atomic.Int64 // open bodies
	most      atomic.Int64 // most open bodies at the same time
}

func newRangesOrigin(size int) *rangesOrigin {
	o := &rangesOrigin{origin: newOrigin(size), ranges: make(chan struct{})}
	o.sums = sumsOf(o.origin.body)[:3] // those that can be combined
	return o
}

// waitForRange makes plain answers wait until a range has been requested.
func (o *rangesOrigin) waitForRange() {
	o.slowUntil = func() bool { <-o.ranges; return true }
}

// slow makes an answer wait for slowUntil after its first bytes.
func (o *rangesOrigin) slow(b io.Reader) io.Reader {
	return io.MultiReader(io.LimitReader(b, 100), readerFunc(func(p []byte) (int, error) {
		for !o.slowUntil() {
			runtime.Gosched()
		}
		return b.Read(p)
	}))
}

func (o *rangesOrigin) Fetch(ctx context.Context, req Request) (*Response, error) {
	if isRange(req) {
		o.once.Do(func() { close(o.ranges) })
	}
	if o.before != nil {
		if err := o.before(req); err != nil {
			return nil, err
		}
	}
	resp, err := o.origin.Fetch(ctx, req)
	if err != nil || resp.Body == nil {
		return resp, err
	}
	var r io.Reader = resp.Body
	if o.body != nil {
		r = o.body(req, r)
	}
	if o.slowUntil != nil && !isRange(req) {
		r = o.slow(r)
	}
	for n := o.now.Add(1); ; {
		most := o.most.Load()
		if n <= most || o.most.CompareAndSwap(most, n) {
			break
		}
	}
	resp.Body = &countedBody{Reader: r, o: o}
	return resp, nil
}

type countedBody struct {
	io.Reader
	o    *rangesOrigin
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.o.now.Add(-1) })
	return nil
}

func isRange(req Request) bool { return req.Offset > 0 || req.Length > 0 }

func parallelOptions(concurrency int) Options {
	return Options{MaxAge: Immutable, Concurrency: concurrency, PartSize: blocks.MinSize}
}

// For all sizes, the result is the object.
func TestPartsMakeTheObject(t *testing.T) {
	for i := range 40 {
		size := blocks.MinSize*rand.IntN(12) + []int{0, 1, -1, rand.IntN(blocks.MinSize)}[i%4]
		o := newRangesOrigin(max(0, size))
		opts := Options{Concurrency: 1 + rand.IntN(8), PartSize: int64(1 + rand.IntN(3*blocks.MinSize))}
		t.Run(fmt.Sprintf("%d by %d in %d", size, opts.PartSize, opts.Concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // on a busy machine, a connection without CPU time would look slow
				c := newTest(t, opts, nil)
				if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.origin.body) {
					t.Errorf("%d bytes, %v", len(b), err)
				}
				if c.Stats().Uncached != 0 {
					t.Error("it was not kept")
				}
				if o.most.Load() > int64(opts.Concurrency) || o.now.Load() != 0 {
					t.Errorf("%d connections at a time, %d are still open", o.most.Load(), o.now.Load())
				}
				fresh := c.restart(nil)
				if b, err := fresh.ReadFile(background, o); err != nil || !bytes.Equal(b, o.origin.body) || fresh.Stats().Repairs != 0 {
					t.Errorf("from the disk: %d bytes, %v, %+v", len(b), err, fresh.Stats())
				}
			})
		})
	}
}

// If the first answer stops after its first bytes, ranges fetch all parts but the
// first, each once and in the version of the first answer.
func TestRangesBringTheRest(t *testing.T) { synctest.Test(t, testRangesBringTheRest) }

func testRangesBringTheRest(t *testing.T) {
	o := newRangesOrigin(9*blocks.MinSize + 5)
	c := newTest(t, parallelOptions(3), nil)
	o.slowUntil = func() bool { return c.Stats().OriginBytes >= 8*blocks.MinSize+5+100 }
	c.wantRanges(t, o)
	var offsets []int64
	for _, req := range o.asked[1:] {
		offsets = append(offsets, req.Offset/blocks.MinSize)
		if req.IfMatch != o.etag || req.Length != blocks.MinSize && req.Offset+req.Length != int64(len(o.origin.body)) {
			t.Errorf("a range request was %+v", req)
		}
	}
	slices.Sort(offsets)
	if want := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(offsets, want) {
		t.Errorf("parts %v were requested, want %v", offsets, want)
	}
	if s := c.Stats(); s.Requests != 10 || s.OriginBytes != int64(len(o.origin.body)) || s.Unsummed != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

func (c *testCache) wantRanges(t *testing.T, o *rangesOrigin) {
	t.Helper()
	if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.origin.body) {
		t.Errorf("ReadFile: %d bytes, %v", len(b), err)
	}
}

// An object that is too small for parts, or cannot be requested in parts, costs one
// request.
func TestOnePieceIsOneRequest(t *testing.T) {
	for name, change := range map[string]func(o *rangesOrigin, opts *Options){
		"small":           func(o *rangesOrigin, opts *Options) { opts.PartSize = 5*blocks.MinSize + 1 },
		"one connection":  func(o *rangesOrigin, opts *Options) { opts.Concurrency = 1 },
		"weak ETag":       func(o *rangesOrigin, opts *Options) { o.etag = "W/" + o.etag },
		"no ETag":         func(o *rangesOrigin, opts *Options) { o.etag = "" },
		"verified by SHA": func(o *rangesOrigin, opts *Options) { o.sums = sumsOf(o.origin.body)[3:] },
		"default parts":   func(o *rangesOrigin, opts *Options) { opts.PartSize = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			o := newRangesOrigin(10 * blocks.MinSize)
			opts := parallelOptions(4)
			change(o, &opts)
			c := newTest(t, opts, nil)
			c.wantRanges(t, o)
			if n := o.requests(); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// An origin without ranges, or too busy for them, costs only the refused requests.
func TestRefusedRangesAreReadFromTheFirstAnswer(t *testing.T) {
	for name, refuse := range map[string]func(Request) error{
		"all": func(req Request) error {
			if isRange(req) {
				return errOrigin
			}
			return nil
		},
		"some": func(req Request) error {
			if req.Offset/blocks.MinSize%3 == 1 {
				return errOrigin
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newRangesOrigin(10*blocks.MinSize + 7)
				o.before = refuse
				o.waitForRange()
				c := newTest(t, parallelOptions(4), nil)
				c.wantRanges(t, o)
				if s := c.Stats(); s.Misses != 1 || s.Uncached != 0 || o.now.Load() != 0 {
					t.Errorf("Stats = %+v, %d bodies are open", s, o.now.Load())
				}
			})
		})
	}
}

// Each connection may break, and is resumed where it broke.
func TestBrokenPartsAreResumed(t *testing.T) {
	for range 20 {
		synctest.Test(t, testBrokenPartsAreResumed)
	}
}

func testBrokenPartsAreResumed(t *testing.T) {
	o := newRangesOrigin(8*blocks.MinSize + 100)
	var mu sync.Mutex
	broken := map[int64]bool{}
	o.body = func(req Request, b io.Reader) io.Reader {
		mu.Lock()
		defer mu.Unlock()
		part := req.Offset / blocks.MinSize
		if broken[part] || req.Offset%blocks.MinSize != 0 {
			return b
		}
		broken[part] = true
		return io.MultiReader(io.LimitReader(b, rand.Int64N(blocks.MinSize)), iotest.ErrReader(errors.New("reset")))
	}
	o.waitForRange()
	c := newTest(t, parallelOptions(3), nil)
	c.wantRanges(t, o)
	for i, req := range o.asked {
		if req.Length > blocks.MinSize-req.Offset%blocks.MinSize || req.Length == 0 && i > 0 {
			t.Errorf("%+v goes beyond its part", req)
		}
	}
	if s := c.Stats(); s.Uncached != 0 || s.OriginBytes < int64(len(o.origin.body)) {
		t.Errorf("Stats = %+v", s)
	}
	if o.most.Load() > 3 {
		t.Errorf("%d connections at a time", o.most.Load())
	}
}

// The object is replaced while its parts are downloaded: it is fetched again in one
// piece, and is one version.
func TestReplacedBetweenParts(t *testing.T) { synctest.Test(t, testReplacedBetweenParts) }

func testReplacedBetweenParts(t *testing.T) {
	o := newRangesOrigin(9 * blocks.MinSize)
	young := randomBytes(7*blocks.MinSize, 9)
	var once sync.Once
	o.before = func(req Request) error {
		if isRange(req) {
			once.Do(func() {
				o.put(young)
				o.origin.mu.Lock()
				o.sums = sumsOf(young)[:1]
				o.origin.mu.Unlock()
			})
		}
		return nil
	}
	o.waitForRange()
	c := newTest(t, parallelOptions(3), nil)
	if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, young) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if last := o.asked[len(o.asked)-1]; last != (Request{}) {
		t.Errorf("the last request was %+v, want a plain one", last)
	}
}

// Only the ETag of a range shows that it is of another version.
func TestPartOfAnotherVersion(t *testing.T) { synctest.Test(t, testPartOfAnotherVersion) }

func testPartOfAnotherVersion(t *testing.T) {
	o := newRangesOrigin(9 * blocks.MinSize)
	o.waitForRange()
	s := &otherETags{rangesOrigin: o}
	c := newTest(t, parallelOptions(3), nil)
	if b, err := c.ReadFile(background, s); err != nil || !bytes.Equal(b, o.origin.body) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if n := len(o.asked); n < 3 || o.asked[n-1] != (Request{}) {
		t.Errorf("requests were %+v", o.asked)
	}
}

type otherETags struct{ *rangesOrigin }

func (o *otherETags) Fetch(ctx context.Context, req Request) (*Response, error) {
	resp, err := o.rangesOrigin.Fetch(ctx, req)
	if err == nil && isRange(req) {
		resp.ETag = `"another"`
	}
	return resp, err
}

// The checksum of the whole finds a part that arrives corrupt, for each algorithm that
// can be combined. The second attempt is one request; if its bytes are wrong as well,
// the caller gets an error.
func TestDamagedPart(t *testing.T) {
	for i := range 3 {
		for _, also := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, whole too: %v", newRangesOrigin(1).sums[i].Algorithm, also), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testDamagedPart(t, i, also) })
			})
		}
	}
}

func testDamagedPart(t *testing.T, algorithm int, also bool) {
	o := newRangesOrigin(9 * blocks.MinSize)
	o.sums = o.sums[algorithm : algorithm+1]
	o.body = func(req Request, b io.Reader) io.Reader {
		if isRange(req) == also {
			return b
		}
		return io.MultiReader(bytes.NewReader([]byte{'x', 'x'}), skip(b, 2))
	}
	o.waitForRange()
	c := newTest(t, parallelOptions(3), nil)
	b, err := c.ReadFile(background, o)
	if also && !errors.Is(err, ErrChecksum) {
		t.Errorf("err = %v", err)
	}
	if !also && (err != nil || !bytes.Equal(b, o.origin.body)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if also && len(c.entryFiles()) != 0 {
		t.Error("it was kept")
	}
	if last := o.asked[len(o.asked)-1]; last != (Request{}) {
		t.Errorf("the second attempt was %+v", last)
	}
}

func skip(r io.Reader, n int64) io.Reader {
	io.CopyN(io.Discard, r, n)
	return r
}

// If the caller leaves, all connections end.
func TestAbandonedParts(t *testing.T) {
	o := newRangesOrigin(9 * blocks.MinSize)
	ctx, cancel := context.WithCancel(background)
	o.body = func(req Request, b io.Reader) io.Reader {
		return io.MultiReader(io.LimitReader(b, 100), readerFunc(func([]byte) (int, error) {
			cancel()
			<-ctx.Done()
			return 0, ctx.Err()
		}))
	}
	c := newTest(t, parallelOptions(3), nil)
	if _, err := c.Open(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	for o.now.Load() != 0 { // the flight has not ended yet
		runtime.Gosched()
	}
	if len(c.entryFiles())+len(c.dataFiles()) != 0 {
		t.Error("something was kept")
	}
}

// A panic or a Goexit in a range request reaches the caller, as in the first request.
func TestPanicInARange(t *testing.T) {
	for _, exit := range []bool{false, true} {
		o := newRangesOrigin(9 * blocks.MinSize)
		o.before = func(req Request) error {
			switch {
			case !isRange(req):
			case exit:
				runtime.Goexit()
			default:
				panic("in a range")
			}
			return nil
		}
		o.waitForRange()
		c := newTest(t, parallelOptions(3), nil)
		var recovered any
		returned := false
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { recovered = recover() }()
			c.Open(background, o)
			returned = true
		}()
		<-done
		if returned || (recovered == nil) != exit {
			t.Errorf("exit %v: returned %v, recovered %.50v", exit, returned, recovered)
		}
		if c.usage().Reserved != 0 || o.now.Load() != 0 {
			t.Error("room is still reserved, or a body open")
		}
	}
}

// The disk fills up while parts are written: the download continues in memory with the
// parts already written.
func TestDiskFullBetweenParts(t *testing.T) {
	for n := range 12 {
		var writes atomic.Int64
		d := &faultyDisk{err: syscall.ENOSPC}
		d.fails = func(op string) bool { return op == "write" && writes.Add(1) > int64(n) }
		o := newRangesOrigin(10*blocks.MinSize + 9)
		c := newTest(t, parallelOptions(4), d)
		c.wantRanges(t, o)
		if c.usage().Reserved != 0 || c.usage().Written != 0 {
			t.Errorf("full after %d writes: room is still reserved", n)
		}
	}
}

// Without room on disk or in memory, nothing is downloaded only to be discarded.
func TestNoRoomNoRanges(t *testing.T) {
	o := newRangesOrigin(9 * blocks.MinSize)
	opts := parallelOptions(4)
	opts.MaxBytes = 1
	c := newTest(t, opts, nil)
	c.memory.held = maxMemory
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Progress increases, is reported at intervals, and ends with the size.
func TestProgress(t *testing.T) {
	for _, concurrency := range []int{1, 4} {
		o := newRangesOrigin(20*blocks.MinSize + 3)
		total := int64(len(o.origin.body))
		opts := parallelOptions(concurrency)
		var told []int64
		opts.Progress = func(id ID, done, of int64) {
			if id.Name != "model.bin" || of != total {
				t.Errorf("Progress of %v, %d bytes in all", id, of)
			}
			told = append(told, done)
		}
		c := newTest(t, opts, nil)
		c.wantRanges(t, o)
		c.wantRanges(t, o) // a hit
		if n := len(told); n == 0 || n > 6 || told[n-1] != total || !slices.IsSorted(told) {
			t.Errorf("%d connections: Progress reported %v of %d", concurrency, told, total)
		}
	}
}

// Bytes of a broken range do not count twice.
func TestProgressOfBrokenRanges(t *testing.T) {
	o := newRangesOrigin(20 * blocks.MinSize)
	o.body = func(req Request, b io.Reader) io.Reader {
		if !isRange(req) {
			return b
		}
		return io.MultiReader(io.LimitReader(b, blocks.MinSize/2), iotest.ErrReader(errors.New("reset")))
	}
	o.waitForRange()
	opts := parallelOptions(4)
	opts.PartSize *= 2
	var told []int64
	opts.Progress = func(_ ID, done, total int64) { told = append(told, done) }
	c := newTest(t, opts, nil)
	c.wantRanges(t, o)
	if n := len(told); n == 0 || told[n-1] != 20*blocks.MinSize || slices.Max(told) > 20*blocks.MinSize {
		t.Errorf("Progress reported %v", told)
	}
}

// A range request that finds the object replaced ends the others, which may hang.
func TestReplacedWhileARangeHangs(t *testing.T) { synctest.Test(t, testReplacedWhileARangeHangs) }

func testReplacedWhileARangeHangs(t *testing.T) {
	o := newRangesOrigin(9 * blocks.MinSize)
	hangs := make(chan struct{})
	var ranges atomic.Int64
	h := &hanging{rangesOrigin: o, fetch: func(ctx context.Context) error {
		if ranges.Add(1) == 1 {
			<-hangs // wait until another one hangs
			<-ctx.Done()
			return ctx.Err()
		}
		close(hangs)
		return ErrChanged
	}}
	o.slowUntil = func() bool { <-hangs; return true }
	c := newTest(t, parallelOptions(3), nil)
	if b, err := c.ReadFile(background, h); err != nil || !bytes.Equal(b, o.origin.body) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

type hanging struct {
	*rangesOrigin
	fetch func(context.Context) error
}

func (h *hanging) Fetch(ctx context.Context, req Request) (*Response, error) {
	if isRange(req) {
		return nil, h.fetch(ctx)
	}
	return h.rangesOrigin.Fetch(ctx, req)
}

// stalledFirst has a first answer that ends only by Close. Range requests get the
// result of answer.
type stalledFirst struct {
	*rangesOrigin
	first  atomic.Bool
	answer func() error
}

func (o *stalledFirst) Fetch(ctx context.Context, req Request) (*Response, error) {
	if isRange(req) {
		return nil, o.answer()
	}
	resp, err := o.rangesOrigin.Fetch(context.WithoutCancel(ctx), req)
	if err == nil && o.first.CompareAndSwap(false, true) {
		resp.Body = &stalledBody{ReadCloser: resp.Body, closed: make(chan struct{})}
	}
	return resp, err
}

type stalledBody struct {
	io.ReadCloser
	closed chan struct{}
}

func (b *stalledBody) Read([]byte) (int, error) {
	<-b.closed
	return 0, errors.New("closed")
}

func (b *stalledBody) Close() error {
	close(b.closed) // panics if it is closed twice
	return b.ReadCloser.Close()
}

// The result of a range request does not wait for a first answer that stalls.
func TestRangesEndAStalledFirstAnswer(t *testing.T) {
	o := newRangesOrigin(9 * blocks.MinSize)
	s := &stalledFirst{rangesOrigin: o, answer: func() error { return ErrChanged }}
	c := newTest(t, parallelOptions(3), nil)
	if b, err := c.ReadFile(background, s); err != nil || !bytes.Equal(b, o.origin.body) {
		t.Errorf("%d bytes, %v", len(b), err)
	}

	p := &stalledFirst{rangesOrigin: newRangesOrigin(9 * blocks.MinSize), answer: func() error { panic("in a range") }}
	defer func() {
		if r := recover(); r == nil {
			t.Error("no panic")
		}
	}()
	newTest(t, parallelOptions(3), nil).ReadFile(background, p)
}

// If the caller leaves, a download ends even if its body ignores the context.
func TestAbandonedBodyIsClosed(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		ctx, cancel := context.WithCancel(background)
		o := newRangesOrigin(9 * blocks.MinSize)
		s := &stalledFirst{rangesOrigin: o, answer: func() error { return errOrigin }}
		c := newTest(t, parallelOptions(concurrency), nil)
		o.before = func(Request) error { cancel(); return nil }
		if _, err := c.Open(ctx, s); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		for o.now.Load() != 0 { // the flight has not ended yet
			runtime.Gosched()
		}
	}
}

// A part whose range request fails at first does not lose the parts before it.
func TestLeftPartIsAskedForAgain(t *testing.T) { synctest.Test(t, testLeftPartIsAskedForAgain) }

func testLeftPartIsAskedForAgain(t *testing.T) {
	const parts = 30
	o := newRangesOrigin(parts * blocks.MinSize)
	var refused atomic.Bool
	o.before = func(req Request) error {
		if req.Offset == (parts-1)*blocks.MinSize && refused.CompareAndSwap(false, true) {
			return errOrigin
		}
		return nil
	}
	c := newTest(t, parallelOptions(3), nil)
	o.slowUntil = func() bool { return c.Stats().OriginBytes >= (parts-2)*blocks.MinSize }
	c.wantRanges(t, o)
	if s := c.Stats(); s.OriginBytes != parts*blocks.MinSize {
		t.Errorf("%d bytes for %d", s.OriginBytes, parts*blocks.MinSize)
	}
}

// hangingRanges is an origin whose range requests hang.
type hangingRanges struct {
	*rangesOrigin
	hangs  func(Request) bool
	silent bool // it sends no answer, instead of half of one
	asked  atomic.Int64
}

func (h *hangingRanges) Fetch(ctx context.Context, req Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	hangs := isRange(req) && h.hangs(req)
	if isRange(req) {
		h.asked.Add(1)
	}
	if hangs && h.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	resp, err := h.rangesOrigin.Fetch(context.WithoutCancel(ctx), req)
	if hangs && err == nil {
		stalled := &stalledBody{ReadCloser: resp.Body, closed: make(chan struct{})}
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(resp.Body, 1000), stalled), stalled}
	}
	return resp, err
}

// A connection that hangs costs time, but the object arrives: the first answer includes
// the missing part.
func TestRangesThatHang(t *testing.T) {
	const parts = 9
	for name, hangs := range map[string]func(Request) bool{
		"all":  isRange,
		"last": func(req Request) bool { return req.Offset/blocks.MinSize == parts-1 },
	} {
		for _, silent := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, silent %v", name, silent), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := newRangesOrigin(parts * blocks.MinSize)
					h := &hangingRanges{rangesOrigin: o, hangs: hangs, silent: silent}
					o.slowUntil = func() bool { return h.asked.Load() >= 2 } // both have begun
					opts := parallelOptions(3)
					opts.Dir = t.TempDir()
					c := Must(New(opts))
					b, err := c.ReadFile(background, h)
					if err != nil || !bytes.Equal(b, o.origin.body) {
						t.Errorf("%d bytes, %v", len(b), err)
					}
					if n := o.now.Load(); n != 0 {
						t.Errorf("%d bodies are open", n)
					}
				})
			})
		}
	}
}

// A part whose range hung is also requested again before everything before it has
// arrived.
func TestHangingRangeIsAskedForAgain(t *testing.T) {
	const parts = 30
	synctest.Test(t, func(t *testing.T) {
		var hung atomic.Bool
		h := &hangingRanges{rangesOrigin: newRangesOrigin(parts * blocks.MinSize), hangs: func(req Request) bool {
			return req.Offset == (parts-1)*blocks.MinSize && hung.CompareAndSwap(false, true)
		}}
		opts := parallelOptions(3)
		opts.Dir = t.TempDir()
		c := Must(New(opts))
		h.slowUntil = func() bool { return c.Stats().OriginBytes >= (parts-2)*blocks.MinSize }
		b, err := c.ReadFile(background, h)
		if err != nil || !bytes.Equal(b, h.origin.body) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if s := c.Stats(); s.OriginBytes != parts*blocks.MinSize {
			t.Errorf("%d bytes for %d", s.OriginBytes, parts*blocks.MinSize)
		}
	})
}

func TestPanicInProgress(t *testing.T) {
	o := newRangesOrigin(20 * blocks.MinSize)
	opts := parallelOptions(4)
	opts.Progress = func(ID, int64, int64) { panic("in Progress") }
	c := newTest(t, opts, nil)
	defer func() {
		if r := recover(); r == nil || o.now.Load() != 0 {
			t.Errorf("recovered %v, %d bodies are open", r, o.now.Load())
		}
	}()
	c.Open(background, o)
}

func TestUnsummed(t *testing.T) {
	o := newRangesOrigin(10)
	o.sums = nil
	c := newTest(t, Options{MaxAge: Immutable}, nil)
	c.wantRanges(t, o)
	c.wantRanges(t, o)
	if s := c.Stats(); s.Unsummed != 1 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestBadParallelOptions(t *testing.T) {
	for _, opts := range []Options{{Concurrency: -1}, {PartSize: -1}} {
		if _, err := New(opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
	c := newTest(t, Options{PartSize: 1<<63 - 1, Concurrency: 1 << 30}, nil)
	o := newRangesOrigin(3 * blocks.MinSize)
	c.wantRanges(t, o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}
