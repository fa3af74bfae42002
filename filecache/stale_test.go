package filecache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// A copy is served while the origin fails, for less than MaxAge + StaleIfError since
// its validation, on both clocks, in the same process and in the next one.
func TestStaleIfError(t *testing.T) {
	for _, maxAge := range []time.Duration{0, time.Minute} {
		for _, tt := range []struct {
			name       string
			wall, mono time.Duration
			stands     bool
		}{
			{"just in time", time.Hour - 1, time.Hour - 1, true},
			{"exact end", time.Hour, time.Hour, false},
			{"monotonic clock stopped", time.Hour, 0, false},
			{"wall clock stopped", 0, time.Hour, false},
			{"wall clock stepped back", -time.Hour, time.Minute, false},
		} {
			for _, restarted := range []bool{false, true} {
				t.Run(fmt.Sprintf("MaxAge %v, %s, restarted %v", maxAge, tt.name, restarted), func(t *testing.T) {
					c, o := newTest(t, Options{MaxAge: maxAge, StaleIfError: time.Hour - maxAge}, nil), newOrigin(someSize)
					c.want(o)
					c.clocks.Move(time.Second, time.Second)
					if maxAge > 0 {
						c.clocks.Move(maxAge, maxAge)
					}
					c.want(o) // revalidated: the time starts here
					if restarted {
						c = c.restart(nil)
					}
					o.err = errOrigin
					o.requests()
					c.clocks.Move(tt.wall, tt.mono)
					b, err := c.ReadFile(background, o)
					switch stands := err == nil; {
					case stands != tt.stands:
						t.Errorf("error %v, want a stale copy: %v", err, tt.stands)
					case stands && !bytes.Equal(b, o.body):
						t.Error("wrong bytes")
					case !stands && !errors.Is(err, errOrigin):
						t.Errorf("error %v, want the origin's", err)
					}
					if n := o.requests(); n != 1 {
						t.Errorf("%d requests, want one for each Open", n)
					}
					if n := c.Stats().StaleServed; n != 0 != tt.stands {
						t.Errorf("StaleServed = %d", n)
					}
				})
			}
		}
	}
}

func TestStaleIfErrorIsNotForEverything(t *testing.T) {
	fresh := func(stale time.Duration) (*testCache, *origin) {
		c, o := newTest(t, Options{StaleIfError: stale}, nil), newOrigin(100)
		c.want(o)
		return c, o
	}
	t.Run("the object is gone", func(t *testing.T) {
		// The same if the disk fails to remove the copy.
		for _, d := range []fakeDisk{nil, &faultyDisk{fails: func(op string) bool { return op == "remove" }}} {
			c, o := newTest(t, Options{StaleIfError: time.Hour}, d), newOrigin(100)
			c.want(o)
			o.err = fmt.Errorf("404: %w", fs.ErrNotExist)
			for range 2 {
				if _, err := c.Open(background, o); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Open = %v", err)
				}
			}
			o.err = errOrigin
			if _, err := c.Open(background, o); !errors.Is(err, errOrigin) {
				t.Errorf("Open = %v: a deleted object must not be served again", err)
			}
			o.err = nil
			c.want(o)
		}
	})
	t.Run("the object is gone when asked for again", func(t *testing.T) {
		c, o := fresh(time.Hour)
		s := &script{id: mustID(o), fetch: func(n int, req Request) (*Response, error) {
			switch n {
			case 1:
				return &Response{Size: 100, ETag: `"new"`, Body: io.NopCloser(bytes.NewReader(o.body)), Checksums: sumsOf(nil)}, nil
			case 2:
				return nil, fmt.Errorf("404: %w", fs.ErrNotExist)
			}
			return nil, errOrigin
		}}
		for _, want := range []error{fs.ErrNotExist, errOrigin} {
			if _, err := c.Open(background, s); !errors.Is(err, want) {
				t.Errorf("Open = %v, want %v", err, want)
			}
		}
	})
	t.Run("forgotten", func(t *testing.T) {
		for _, d := range []fakeDisk{nil, &faultyDisk{fails: func(op string) bool { return op == "remove" }}} {
			c, o := newTest(t, Options{StaleIfError: time.Hour}, d), newOrigin(100)
			c.want(o)
			c.Forget(o)
			o.err = errOrigin
			if _, err := c.Open(background, o); !errors.Is(err, errOrigin) {
				t.Errorf("Open = %v", err)
			}
		}
	})
	t.Run("the caller's own end", func(t *testing.T) {
		c, o := fresh(time.Hour)
		o.wait = make(chan struct{})
		ctx, cancel := context.WithCancel(background)
		defer time.AfterFunc(10*time.Millisecond, cancel).Stop() // the origin stalls until then
		if _, err := c.Open(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("Open = %v", err)
		}
		if n := c.Stats().StaleServed; n != 0 {
			t.Error("served to a caller whose ctx is done")
		}
	})
	t.Run("not wanted", func(t *testing.T) {
		c, o := fresh(0)
		o.err = errOrigin
		if _, err := c.Open(background, o); !errors.Is(err, errOrigin) {
			t.Errorf("Open = %v", err)
		}
	})
}

// A time-out of the origin's client does not count as the caller's.
func TestStaleAfterAnOriginThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(New(Options{Dir: t.TempDir(), StaleIfError: time.Hour}))
		o := newOrigin(100)
		if _, err := c.ReadFile(background, o); err != nil {
			t.Fatal(err)
		}
		o.wait = make(chan struct{})
		ctx, cancel := context.WithTimeout(background, time.Minute)
		defer cancel()
		b, err := c.ReadFile(ctx, impatient{o})
		if err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("ReadFile: %v", err)
		}
	})
}

type impatient struct{ *origin }

func (i impatient) Fetch(ctx context.Context, req Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return i.origin.Fetch(ctx, req)
}

// A new version that does not arrive in full leaves the copy unchanged.
func TestStaleWhenTheNewOneIsBroken(t *testing.T) {
	c, o := newTest(t, Options{StaleIfError: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	old := o.body
	o.put(randomBytes(someSize, 2))
	o.sums = sumsOf(o.body)[:1]
	o.spoil = func(_ int, b []byte) io.Reader {
		b = bytes.Clone(b)
		b[5] ^= 1
		return bytes.NewReader(b)
	}
	c.wantBytes(o, old)
	o.spoil = nil
	c.want(o)
}

func TestStaleIfErrorOptions(t *testing.T) {
	for _, o := range []Options{{StaleIfError: -1}, {StaleIfError: 1, MaxAge: Immutable}} {
		if _, err := New(o); err == nil {
			t.Errorf("New(%+v) succeeded", o)
		}
	}
	c, o := newTest(t, Options{MaxAge: Immutable - 1, StaleIfError: Immutable}, nil), newOrigin(10)
	c.want(o)
	v := c.store.Lookup(store.Key(mustID(o))).Validation
	v.At.Wall = 0 // too old for arithmetic
	v.At.Mono -= 1 << 62
	if !c.mayServeStale(v) {
		t.Error("the sum of two long durations is short")
	}
}
