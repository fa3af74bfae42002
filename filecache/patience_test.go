package filecache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// silentOrigin is an origin whose connections swallow requests, or stop in the middle
// of a body.
type silentOrigin struct {
	*origin
	// silent returns how long the nth request, from 1, waits for its answer. Negative
	// means forever.
	silent func(n int, req Request) time.Duration
	// stops returns the number of bytes after which its body stops. Zero means never.
	stops func(n int, req Request) int64
	n     int
}

func (o *silentOrigin) Fetch(ctx context.Context, req Request) (*Response, error) {
	o.mu.Lock()
	o.n++
	n := o.n
	o.mu.Unlock()
	if o.silent != nil {
		switch d := o.silent(n, req); {
		case d < 0:
			<-ctx.Done()
			return nil, ctx.Err()
		case !sleep(ctx, d):
			return nil, ctx.Err()
		}
	}
	resp, err := o.origin.Fetch(ctx, req)
	if err != nil || resp.Body == nil || o.stops == nil {
		return resp, err
	}
	if at := o.stops(n, req); at > 0 {
		stalled := &stalledBody{ReadCloser: resp.Body, closed: make(chan struct{})}
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(resp.Body, at), stalled), stalled}
	}
	return resp, err
}

func oldConnections(_ int, req Request) time.Duration {
	if req.NewConnection {
		return 0
	}
	return -1
}

func never(int, Request) time.Duration { return -1 }

// dated returns a cache with real clocks and a copy of o. o then has another version.
func dated(t *testing.T, opts Options) (*Cache, *silentOrigin) {
	t.Helper()
	opts.Dir = t.TempDir()
	c := Must(New(opts))
	o := &silentOrigin{origin: newOrigin(8 * blocks.MinSize)}
	if opts.StaleIfError > 0 {
		if _, err := c.ReadFile(background, o); err != nil {
			t.Fatal(err)
		}
	}
	o.asked, o.n = nil, 0
	return c, o
}

// A kept connection that swallows the request costs a few seconds, and at most half of
// the caller's time.
func TestSilentConnection(t *testing.T) {
	for _, tt := range []struct{ left, want time.Duration }{
		{0, 3 * time.Second},
		{time.Hour, 3 * time.Second},
		{2 * time.Second, time.Second},
	} {
		for _, stale := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%v left, stale for %v", tt.left, stale), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, o := dated(t, Options{StaleIfError: stale})
					o.put(randomBytes(100, 3))
					o.silent = oldConnections
					ctx := background
					if tt.left > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, tt.left)
						defer cancel()
					}
					began := time.Now()
					b, err := c.ReadFile(ctx, o)
					if err != nil || !bytes.Equal(b, o.body) {
						t.Errorf("%d bytes, %v", len(b), err)
					}
					if took := time.Since(began); took != tt.want {
						t.Errorf("it took %v, want %v", took, tt.want)
					}
					if s := c.Stats(); s.StaleServed != 0 || o.n != 2 {
						t.Errorf("%d requests, %+v", o.n, s)
					}
				})
			})
		}
	}
}

// If the origin is silent on every connection, the stale copy is served within the
// caller's time.
func TestStaleAfterSilence(t *testing.T) {
	stops := func(int, Request) int64 { return blocks.MinSize / 8 }
	noRanges := func(_ int, req Request) time.Duration {
		if isRange(req) {
			return -1
		}
		return 0
	}
	for name, silent := range map[string]func(o *silentOrigin){
		"no answer":             func(o *silentOrigin) { o.silent = never },
		"body stops at 1/8":     func(o *silentOrigin) { o.put(randomBytes(blocks.MinSize, 3)); o.stops, o.silent = stops, noRanges },
		"body stops, no ranges": func(o *silentOrigin) { o.put(randomBytes(blocks.MinSize, 3)); o.etag = ""; o.stops = stops },
		"body stops, parts":     func(o *silentOrigin) { o.put(randomBytes(9*blocks.MinSize, 3)); o.stops, o.silent = stops, noRanges },
	} {
		for _, left := range []time.Duration{0, 2 * time.Second, 30 * time.Second} {
			t.Run(fmt.Sprintf("%s, %v left", name, left), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, o := dated(t, Options{StaleIfError: time.Hour, PartSize: blocks.MinSize})
					old := o.body
					silent(o)
					ctx := background
					if left > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, left)
						defer cancel()
					}
					began := time.Now()
					b, err := c.ReadFile(ctx, o)
					if err != nil || !bytes.Equal(b, old) {
						t.Errorf("%d bytes, %v", len(b), err)
					}
					took := time.Since(began)
					if took > 10*time.Second || left > 0 && took >= left {
						t.Errorf("it took %v", took)
					}
					if s := c.Stats(); s.StaleServed != 1 || o.n < 2 {
						t.Errorf("%d requests, %+v", o.n, s)
					}
				})
			})
		}
	}
}

// Without a copy, the wait for a silent origin ends too.
func TestSilenceWithoutACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := dated(t, Options{})
		o.silent = never
		if _, err := c.ReadFile(background, o); !errors.Is(err, transfer.ErrStalled) {
			t.Errorf("err = %v", err)
		}
		ctx, cancel := context.WithTimeout(background, 5*time.Second)
		defer cancel()
		if _, err := c.ReadFile(ctx, o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
	})
}

// A slow origin is not given up, and its first answer counts.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := dated(t, Options{PartSize: blocks.MinSize})
		o.silent = func(int, Request) time.Duration { return 20 * time.Second }
		began := time.Now()
		b, err := c.ReadFile(background, o)
		if err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if took := time.Since(began); took > 70*time.Second {
			t.Errorf("it took %v", took)
		}
		if whole := o.asked[0]; whole.NewConnection {
			t.Error("the first answer did not count")
		}
	})
}

// The answer to the second request counts.
func TestSecondAnswer(t *testing.T) {
	t.Run("not modified", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, o := dated(t, Options{StaleIfError: time.Hour})
			o.silent = oldConnections
			if _, err := c.ReadFile(background, o); err != nil {
				t.Error(err)
			}
			if s := c.Stats(); s.Revalidated != 1 || s.StaleServed != 0 {
				t.Errorf("%+v", s)
			}
		})
	})
	t.Run("not there", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, o := dated(t, Options{StaleIfError: time.Hour})
			o.silent = oldConnections
			o.err = fs.ErrNotExist
			if _, err := c.ReadFile(background, o); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	})
	t.Run("an error, and the first answer comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, o := dated(t, Options{})
			o.silent = func(int, Request) time.Duration { return 5 * time.Second }
			if b, err := c.ReadFile(background, refusing{o}); err != nil || !bytes.Equal(b, o.body) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
		})
	})
}

// refusing refuses new connections.
type refusing struct{ *silentOrigin }

func (r refusing) Fetch(ctx context.Context, req Request) (*Response, error) {
	if req.NewConnection {
		return nil, errOrigin
	}
	return r.silentOrigin.Fetch(ctx, req)
}

// A panic or a Goexit in the second request reaches the caller.
func TestPanicInTheSecondRequest(t *testing.T) {
	for _, exit := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, o := dated(t, Options{})
			o.silent = func(_ int, req Request) time.Duration {
				switch {
				case !req.NewConnection:
				case exit:
					runtime.Goexit()
				default:
					panic("in the second request")
				}
				return -1
			}
			var recovered any
			returned := false
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { recovered = recover() }()
				c.ReadFile(background, o)
				returned = true
			}()
			<-done
			if returned || (recovered == nil) != exit {
				t.Errorf("exit %v: returned %v, recovered %.50v", exit, returned, recovered)
			}
		})
	}
}

// A Close that panics after the caller has left does not end the process.
func TestCloseThatPanics(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		ctx, cancel := context.WithCancel(background)
		o := closing{newOrigin(9 * blocks.MinSize), cancel}
		c := newTest(t, parallelOptions(concurrency), nil)
		if _, err := c.Open(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
		for c.usage().Reserved != 0 { // the flight has not ended yet
			runtime.Gosched()
		}
	}
}

// panicking is a body that stalls, and whose Close panics.
type panicking struct {
	closed chan struct{}
	read   func()
}

func (p panicking) Read([]byte) (int, error) {
	p.read()
	<-p.closed
	return 0, errors.New("closed")
}

func (p panicking) Close() error {
	close(p.closed)
	panic("in Close")
}

// closing is an Object whose bodies stall, and whose Close panics.
type closing struct {
	*origin
	read func()
}

func (o closing) Fetch(ctx context.Context, req Request) (*Response, error) {
	resp, err := o.origin.Fetch(context.WithoutCancel(ctx), req)
	if err == nil {
		resp.Body = panicking{make(chan struct{}), o.read}
	}
	return resp, err
}

// A body that returns no bytes and no error forever does not spin.
func TestBodyWithoutBytes(t *testing.T) {
	for _, concurrency := range []int{1, 3} {
		o := newRangesOrigin(9 * blocks.MinSize)
		o.body = func(Request, io.Reader) io.Reader { return readerFunc(func([]byte) (int, error) { return 0, nil }) }
		c := newTest(t, parallelOptions(concurrency), nil)
		if _, err := c.Open(background, o); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("err = %v", err)
		}
		if o.now.Load() != 0 {
			t.Error("a body is open")
		}
	}
}
