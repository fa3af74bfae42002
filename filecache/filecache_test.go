package filecache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
)

const someSize = blocks.MinSize*3 + 1000 // four blocks, the last one short

func TestMissHitAndRevalidation(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(someSize)
	c.want(o)
	c.want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests, want one for the miss and none for the hit", n)
	}
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	if last := o.asked[0]; last.IfNoneMatch != o.etag {
		t.Errorf("the last request was %+v, want a conditional one", last)
	}
	c.wantStats(Stats{Misses: 1, Hits: 1, Revalidated: 1, Requests: 2})
	o.put(randomBytes(largeSize, 2))
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	c.wantStats(Stats{Misses: 2, Hits: 1, Revalidated: 1, Requests: 3})
	if n := len(c.dataFiles()); n != 1 {
		t.Errorf("%d data files after the replacement", n)
	}
}

func TestSizes(t *testing.T) {
	for _, size := range []int{0, 1, 1000, blocks.MinSize - 1, blocks.MinSize, blocks.MinSize + 1, 2 * blocks.MinSize} {
		o := newOrigin(size)
		o.sums = sumsOf(o.body)
		c := newTest(t, Options{MaxAge: time.Minute}, nil)
		c.want(o)
		c.want(o)
		c.restart(nil).want(o)
		if n := o.requests(); n != 1 {
			t.Errorf("size %d: %d requests", size, n)
		}
	}
}

func TestReader(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(someSize)
	for _, where := range []*testCache{c, c.restart(nil), newTest(t, Options{}, &faultyDisk{from: 1})} {
		f, err := where.Open(background, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(f, o.body); err != nil {
			t.Error(err)
		}
		f.Seek(5, io.SeekStart)
		var buf bytes.Buffer
		if n, err := f.WriteTo(&buf); n != someSize-5 || err != nil || !bytes.Equal(buf.Bytes(), o.body[5:]) {
			t.Errorf("WriteTo = %d, %v", n, err)
		}
		fi, _ := f.Stat()
		if fi.Name() != "model.bin" || fi.Size() != someSize || !fi.ModTime().Equal(o.modified) {
			t.Errorf("Stat = %s, %d, %v", fi.Name(), fi.Size(), fi.ModTime())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if n := where.usage().Files; n != 0 {
			t.Errorf("%d files are still counted as open", n)
		}
	}
}

// A copy younger than MaxAge on both clocks is used without a request, in the same
// process and in the next one.
func TestNeverOlderThanMaxAge(t *testing.T) {
	for _, tt := range []struct {
		name       string
		wall, mono time.Duration
		asks       bool
	}{
		{"just in time", time.Minute - 1, time.Minute - 1, false},
		{"exact deadline", time.Minute, time.Minute, true},
		{"frozen, monotonic clock stopped", time.Hour, 0, true},
		{"wall clock stopped", 0, time.Hour, true},
		{"wall clock stepped back", -time.Hour, time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, restarted := range []bool{false, true} {
				c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
				bootMono := func() ([16]byte, int64) { return [16]byte{1}, c.clocks.Now().Mono + 77 }
				c.setBoot(bootMono)
				c.want(o)
				o.requests()
				c.clocks.Move(tt.wall, tt.mono)
				if restarted {
					c = c.restart(nil)
				}
				c.want(o)
				if asked := o.requests() > 0; asked != tt.asks {
					t.Errorf("restarted %v: sent a request: %v, want %v", restarted, asked, tt.asks)
				}
			}
		})
	}
}

// After a reboot, the monotonic clock of the previous boot is meaningless.
func TestRebootTrustsTheWallClock(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	c.setBoot(func() ([16]byte, int64) { return [16]byte{1}, 1 << 50 })
	c.want(o)
	next := c.restart(nil)
	next.setBoot(func() ([16]byte, int64) { return [16]byte{2}, 5 })
	next.want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests, want the copy to be used", n)
	}
	c.clocks.Move(time.Minute, 0)
	next = c.restart(nil)
	next.setBoot(func() ([16]byte, int64) { return [16]byte{3}, 5 })
	next.want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests, want one", n)
	}
}

func TestPinnedVersionIsNeverAskedForAgain(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(100)
	o.version = "v7"
	c.want(o)
	c.clocks.Move(1000*time.Hour, 0)
	c.want(o)
	c.restart(nil).want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestZeroMaxAgeAsksEveryTime(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(100)
	for range 3 {
		c.want(o)
	}
	c.wantStats(Stats{Misses: 1, Revalidated: 2, Requests: 3})
}

// Only the origin's answer removes an object; an unreachable origin does not.
func TestGoneAndUnreachable(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(100)
	c.want(o)
	o.err = errOrigin
	if _, err := c.Open(background, o); !errors.Is(err, errOrigin) {
		t.Errorf("Open = %v, want the origin's error", err)
	}
	o.err = nil
	c.want(o)
	if n := c.Stats().Revalidated; n != 1 {
		t.Errorf("%d revalidations: the copy was dropped because of a 503", n)
	}
	o.err = errors.Join(fs.ErrNotExist, errors.New("404"))
	_, err := c.Open(background, o)
	var pe *fs.PathError
	if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pe) || pe.Path != "test://bucket/model.bin" {
		t.Errorf("Open = %v, want fs.ErrNotExist with the object's name", err)
	}
	if n := len(c.entryFiles()) + len(c.dataFiles()); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestOriginChecksum(t *testing.T) {
	for i, sum := range sumsOf(randomBytes(someSize, 1)) {
		t.Run(sum.Algorithm.String(), func(t *testing.T) {
			o := newOrigin(someSize)
			o.sums = sumsOf(o.body)[i : i+1]
			damage := func(n int, b []byte) io.Reader {
				b = bytes.Clone(b)
				b[len(b)/2] ^= 1
				return bytes.NewReader(b)
			}
			o.spoil = func(n int, b []byte) io.Reader {
				if n > 1 {
					return nil
				}
				return damage(n, b)
			}
			c := newTest(t, Options{MaxAge: time.Minute}, nil)
			c.want(o) // the second attempt succeeds
			if n := o.requests(); n != 2 {
				t.Errorf("%d requests, want a second one", n)
			}
			if e, err := c.store.TestRead(entryName(mustID(o))); err != nil || Algorithm(e.Algorithm) != sum.Algorithm || !bytes.Equal(e.Sum, sum.Sum) {
				t.Errorf("the entry does not say how the bytes were verified: %+v, %v", e, err)
			}

			o.spoil = damage
			c = newTest(t, Options{MaxAge: time.Minute}, nil)
			if _, err := c.Open(background, o); !errors.Is(err, ErrChecksum) {
				t.Errorf("Open = %v, want ErrChecksum", err)
			}
			if n := len(c.dataFiles()) + len(c.entryFiles()); n != 0 {
				t.Errorf("%d files were kept", n)
			}
		})
	}
}

func mustID(o Object) ID {
	id, err := o.ID()
	if err != nil {
		panic(err)
	}
	return id
}

// A broken connection is resumed where it broke, and only for the same version.
func TestBrokenBodyIsResumed(t *testing.T) {
	o := newOrigin(someSize)
	cut := func(n int, b []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(errors.New("connection reset")))
	}
	o.spoil = func(n int, b []byte) io.Reader {
		if n < 3 {
			return cut(n, b)
		}
		return nil
	}
	c := newTest(t, Options{MaxAge: time.Minute}, nil)
	c.want(o)
	half, threeQuarters := o.asked[1], o.asked[2]
	if half.Offset != someSize/2 || half.IfMatch != o.etag || threeQuarters.Offset <= half.Offset {
		t.Errorf("requests were %+v, then %+v", half, threeQuarters)
	}

	o.spoil = cut // always
	c = newTest(t, Options{}, nil)
	if _, err := c.Open(background, o); err == nil || !strings.Contains(err.Error(), "connection reset") {
		t.Errorf("Open = %v, want the origin's error", err)
	}
}

func TestCleanlyCutBodyIsNotTheObject(t *testing.T) {
	o := newOrigin(someSize)
	o.etag = "" // so it cannot be resumed
	o.spoil = func(n int, b []byte) io.Reader { return bytes.NewReader(b[:400]) }
	c := newTest(t, Options{}, nil)
	if _, err := c.Open(background, o); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Open = %v", err)
	}
	o.spoil = func(n int, b []byte) io.Reader { return bytes.NewReader(append(bytes.Clone(b), 'x')) }
	if _, err := c.Open(background, o); !errors.Is(err, ErrChecksum) {
		t.Errorf("Open of a body that is too long = %v", err)
	}
}

func TestReplacedDuringTheDownload(t *testing.T) {
	o := newOrigin(someSize)
	young := randomBytes(someSize, 9)
	o.spoil = func(n int, b []byte) io.Reader {
		if n > 1 {
			return nil
		}
		return io.MultiReader(bytes.NewReader(b[:1000]), readerFunc(func([]byte) (int, error) {
			o.put(young)
			return 0, errors.New("connection reset")
		}))
	}
	c := newTest(t, Options{}, nil)
	c.wantBytes(o, young)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestHundredOpensOneRequest(t *testing.T) {
	for name, opts := range map[string]Options{"fresh": {MaxAge: time.Minute}, "always asked": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(Options{Dir: t.TempDir(), MaxAge: opts.MaxAge})
				if err != nil {
					t.Fatal(err)
				}
				o := newOrigin(someSize)
				o.wait = make(chan struct{})
				leader, cancel := context.WithCancel(background)
				results := make(chan error, 100)
				open := func(ctx context.Context) {
					b, err := c.ReadFile(ctx, o)
					if err == nil && !bytes.Equal(b, o.body) {
						err = errors.New("wrong bytes")
					}
					results <- err
				}
				go open(leader)
				synctest.Wait()
				time.Sleep(time.Second)
				for range 99 {
					go open(background)
				}
				synctest.Wait()
				cancel()
				if err := <-results; !errors.Is(err, context.Canceled) {
					t.Errorf("the cancelled first caller got %v", err)
				}
				time.Sleep(time.Second)
				close(o.wait)
				for range 99 {
					if err := <-results; err != nil {
						t.Error(err)
					}
				}
				// Callers that must not use the earlier request share one conditional
				// request after it.
				if got, want := o.requests(), map[string]int{"fresh": 1, "always asked": 2}[name]; got != want {
					t.Errorf("%d requests, want %d", got, want)
				}
			})
		})
	}
}

// The next invocation neither joins nor keeps a download that a timed-out invocation
// left behind.
func TestAbandonedDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Options{Dir: t.TempDir(), MaxAge: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		o := newOrigin(100)
		old := o.body
		release := make(chan struct{})
		o.spoil = func(n int, b []byte) io.Reader {
			if n > 1 {
				return nil
			}
			return io.MultiReader(readerFunc(func([]byte) (int, error) { // a dead connection ignores its context
				<-release
				return 0, io.EOF
			}), bytes.NewReader(old))
		}
		invocation, cancel := context.WithTimeout(background, 3*time.Second)
		defer cancel()
		if _, err := c.Open(invocation, o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the timed-out Open returned %v", err)
		}
		o.put(randomBytes(100, 3))
		next := func() {
			if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.body) {
				t.Errorf("the next invocation got wrong bytes or %v", err)
			}
		}
		next()
		close(release) // now the abandoned download ends, late
		synctest.Wait()
		next()
		// One of them was a second attempt, on a new connection, for the first caller.
		if asked := o.asked; len(asked) != 3 || !asked[1].NewConnection {
			t.Errorf("requests were %+v", asked)
		}
	})
}

func TestForgetAndClear(t *testing.T) {
	for name, forget := range map[string]func(*Cache, Object){
		"Forget": func(c *Cache, o Object) { c.Forget(o) },
		"Clear":  func(c *Cache, _ Object) { c.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(100)
			c.want(o)
			f, err := c.Open(background, o)
			if err != nil {
				t.Fatal(err)
			}
			old := o.body
			forget(c.Cache, o)
			if n := len(c.dataFiles()) + len(c.entryFiles()); n != 0 {
				t.Errorf("%d files left", n)
			}
			o.put(randomBytes(100, 4))
			c.want(o)
			if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, old) {
				t.Errorf("a File that was open before: %v", err)
			}
			f.Close()
		})
		t.Run(name+" on a disk that removes nothing", func(t *testing.T) {
			d := &faultyDisk{}
			c, o := newTest(t, Options{MaxAge: time.Hour}, d), newOrigin(100)
			c.want(o)
			o.put(randomBytes(100, 4))
			d.fails = func(op string) bool { return op == "remove" }
			forget(c.Cache, o)
			c.want(o)
		})
		t.Run(name+" during the download", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(Options{Dir: t.TempDir(), MaxAge: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				o := newOrigin(100)
				o.wait = make(chan struct{})
				got := make(chan []byte, 1)
				go func() {
					b, err := c.ReadFile(background, o)
					if err != nil {
						t.Error(err)
					}
					got <- b
				}()
				synctest.Wait()
				o.put(randomBytes(100, 5)) // after the answer was sent
				forget(c, o)
				close(o.wait)
				if b := <-got; !bytes.Equal(b, o.body) {
					t.Error("got the version from before")
				}
				if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.body) {
					t.Errorf("kept the version from before (%v)", err)
				}
			})
		})
	}
}

func TestPath(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	path, release, err := c.Path(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("the file at %s: %v", path, err)
	}
	c.Forget(o)
	next := c.restart(nil)
	next.Clear()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the path was removed while it was held: %v", err)
	}
	release()
	release() // calling it again is safe
	c.Clear()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after release: %v", err)
	}
}

// Path verifies the whole file, however it was damaged before.
func TestPathOfADamagedFile(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	flip(t, c.only(c.dataFiles()), someSize-1)
	path, release, err := c.restart(nil).Path(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("the file at %s is wrong, or %v", path, err)
	}
}

func TestBadInput(t *testing.T) {
	for _, tt := range []struct {
		opts Options
		want string
	}{
		{Options{MaxAge: -1}, "Options.MaxAge is -1ns"},
		{Options{MaxBytes: -1}, "Options.MaxBytes is -1"},
	} {
		c, err := New(tt.opts)
		if c != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%+v) = %v, %v", tt.opts, c, err)
		}
	}
	c := newTest(t, Options{}, nil)
	for _, tt := range []struct {
		obj  Object
		want string
	}{
		{nil, "Object is nil"},
		{badObject{ID{Name: "x"}, nil}, "ID.Origin is empty"},
		{badObject{ID{Origin: "x"}, nil}, "ID.Name is empty"},
		{badObject{ID{Origin: "x", Name: strings.Repeat("x", 5000)}, nil}, "longer than 4 KiB"},
		{badObject{ID{}, errors.New("Bucket.Name is empty")}, "Bucket.Name is empty"},
	} {
		if f, err := c.Open(background, tt.obj); f != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open(%+v) = %v, want %q", tt.obj, err, tt.want)
		}
		if err := c.Forget(tt.obj); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Forget(%+v) = %v, want %q", tt.obj, err, tt.want)
		}
	}
	if fi, err := os.ReadDir(c.dir); err != nil || len(fi) != 0 {
		t.Errorf("something half-made is in the directory: %v, %v", fi, err)
	}
	c.Close()
	if _, err := c.Open(background, newOrigin(1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Open after Close = %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Must did not panic")
		}
	}()
	Must(New(Options{MaxAge: -1}))
}

type badObject struct {
	id  ID
	err error
}

func (b badObject) ID() (ID, error)                                   { return b.id, b.err }
func (b badObject) Fetch(context.Context, Request) (*Response, error) { return nil, nil }

func TestOriginWithoutAnAnswer(t *testing.T) {
	c := newTest(t, Options{}, nil)
	if _, err := c.Open(background, badObject{id: ID{Origin: "x", Name: "y"}}); err == nil {
		t.Error("Open succeeded")
	}
	o := newOrigin(10)
	o.spoil = func(int, []byte) io.Reader { return nil }
	if _, err := c.Open(background, lying{o}); err == nil || !strings.Contains(err.Error(), "not modified") {
		t.Errorf("Open = %v", err)
	}
}

// lying answers "not modified" to an unconditional request.
type lying struct{ *origin }

func (lying) Fetch(context.Context, Request) (*Response, error) {
	return &Response{NotModified: true}, nil
}

func TestNewTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	c, err := New(Options{Dir: dir + "/a/b"})
	if err != nil {
		t.Fatal(err)
	}
	if fi, _ := os.ReadDir(dir); len(fi) != 0 {
		t.Errorf("New made %v", fi)
	}
	if b, err := c.ReadFile(background, newOrigin(10)); err != nil || len(b) != 10 {
		t.Error(err)
	}
	if c.Stats().Uncached != 0 {
		t.Error("the directory was not made when it was needed")
	}
}

func TestDefaultRoot(t *testing.T) {
	t.Setenv("TMPDIR", "/tmp")
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "quote")
	t.Setenv("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
	if got := store.DefaultPath(""); !strings.HasSuffix(got, ".quote._LATEST") {
		t.Errorf("on Lambda: %s", got)
	}
	t.Setenv("AWS_LAMBDA_FUNCTION_NAME", "")
	t.Setenv("AWS_LAMBDA_FUNCTION_VERSION", "")
	t.Setenv("__OW_ACTION_NAME", "/ns/../pkg/quote")
	t.Setenv("__OW_ACTION_VERSION", "0.0.7")
	if got := store.DefaultPath(""); !strings.HasSuffix(got, "._ns____pkg_quote.0_0_7") {
		t.Errorf("on OpenWhisk: %s", got)
	}
}
