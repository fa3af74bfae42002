package filecache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// pacedOrigin is an origin whose connections have a limited rate.
type pacedOrigin struct {
	*origin
	rate     atomic.Int64 // bytes per second
	noRanges bool
}

func (o *pacedOrigin) Fetch(ctx context.Context, req Request) (*Response, error) {
	if o.noRanges && isRange(req) {
		return nil, errOrigin
	}
	resp, err := o.origin.Fetch(ctx, req)
	if err != nil || resp.Body == nil {
		return resp, err
	}
	r := resp.Body
	resp.Body = io.NopCloser(readerFunc(func(p []byte) (int, error) {
		p = p[:min(len(p), 32<<10)]
		if !sleep(ctx, time.Duration(len(p))*time.Second/time.Duration(o.rate.Load())) {
			return 0, ctx.Err()
		}
		return r.Read(p)
	}))
	return resp, nil
}

const interruptedSize = 24*blocks.MinSize + 77

// newPaced returns a cache with real clocks and an object that takes seconds to fetch.
func newPaced(t *testing.T, concurrency int) (*Cache, *pacedOrigin) {
	o := &pacedOrigin{origin: newOrigin(interruptedSize)}
	o.rate.Store(interruptedSize / 3 / int64(concurrency))
	return Must(New(Options{Dir: t.TempDir(), Concurrency: concurrency, PartSize: 2 * blocks.MinSize})), o
}

// invocation opens the object for one second.
func invocation(t *testing.T, c *Cache, obj Object, want []byte) (done bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background, time.Second)
	defer cancel()
	b, err := c.ReadFile(ctx, obj)
	if err == nil && !bytes.Equal(b, want) {
		t.Error("wrong bytes")
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	return err == nil
}

// A download that takes longer than an invocation continues in the next one.
func TestDownloadOverInvocations(t *testing.T) {
	for _, sums := range []int{0, 1, 5} {
		for _, concurrency := range []int{1, 3} {
			t.Run(fmt.Sprintf("%d checksums, %d connections", sums, concurrency), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, o := newPaced(t, concurrency)
					o.sums = sumsOf(o.body)[:sums]
					if sums == 5 {
						o.rate.Store(o.rate.Load() * int64(concurrency)) // it is fetched in one piece
					}
					times := 1
					for ; times < 10 && !invocation(t, c, o, o.body); times++ {
					}
					if s := c.Stats(); times > 5 || s.OriginBytes > interruptedSize+blocks.MinSize || s.Uncached != 0 {
						t.Errorf("after %d invocations: %+v", times, s)
					}
					if u := c.store.TestUsage(); u.Reserved != 0 || u.Written != 0 {
						t.Errorf("room is still reserved: %+v", u)
					}
				})
			})
		}
	}
}

// An interrupted download gives its room back when it is old, when a download needs the
// room, or when the object is forgotten.
func TestInterruptedDownloadGivesItsRoomBack(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, c *Cache, o *pacedOrigin){
		"old": func(t *testing.T, c *Cache, _ *pacedOrigin) {
			time.Sleep(6 * time.Minute)
			other := newOrigin(10)
			other.name = "other"
			c.ReadFile(background, other)
		},
		"room": func(t *testing.T, c *Cache, _ *pacedOrigin) {
			other := newOrigin(interruptedSize)
			other.name = "other"
			if _, err := c.ReadFile(background, other); err != nil || c.Stats().Uncached != 0 {
				t.Errorf("no room: %v, %+v", err, c.Stats())
			}
		},
		"Forget": func(t *testing.T, c *Cache, o *pacedOrigin) { c.Forget(o) },
		"Clear":  func(t *testing.T, c *Cache, o *pacedOrigin) { c.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, o := newPaced(t, 3)
				c := Must(New(Options{Dir: t.TempDir(), Concurrency: 3, PartSize: blocks.MinSize, MaxBytes: interruptedSize * 3 / 2}))
				if invocation(t, c, o, o.body) {
					t.Fatal("it was not interrupted")
				}
				synctest.Wait()
				if c.store.TestUsage().Reserved == 0 {
					t.Fatal("nothing was kept")
				}
				do(t, c, o)
				if u := c.store.TestUsage(); u.Reserved != 0 || u.Written != 0 {
					t.Errorf("room is still reserved: %+v", u)
				}
				o.rate.Store(1 << 40)
				before := c.Stats().OriginBytes
				if !invocation(t, c, o, o.body) || c.Stats().OriginBytes-before != interruptedSize {
					t.Errorf("the whole object took %d bytes", c.Stats().OriginBytes-before)
				}
			})
		})
	}
}

// An interrupted download is useless if the object has changed, or if the origin does
// not support ranges.
func TestInterruptedDownloadStartsOver(t *testing.T) {
	for name, change := range map[string]func(o *pacedOrigin){
		"changed":   func(o *pacedOrigin) { o.put(randomBytes(interruptedSize, 9)) },
		"shorter":   func(o *pacedOrigin) { o.put(randomBytes(10, 9)) },
		"no ranges": func(o *pacedOrigin) { o.noRanges = true },
		"same ETag, other bytes": func(o *pacedOrigin) {
			etag := o.etag
			o.put(randomBytes(interruptedSize, 9))
			o.etag = etag
			o.sums = sumsOf(o.body)[:1]
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, o := newPaced(t, 3)
				o.sums = sumsOf(o.body)[:1]
				if invocation(t, c, o, o.body) {
					t.Fatal("it was not interrupted")
				}
				synctest.Wait()
				o.sums = nil
				change(o)
				o.rate.Store(1 << 40)
				if !invocation(t, c, o, o.body) {
					t.Error("it did not come")
				}
				if u := c.store.TestUsage(); u.Reserved != 0 || u.Written != 0 {
					t.Errorf("room is still reserved: %+v", u)
				}
			})
		})
	}
}

// An outage does not lose an interrupted download.
func TestInterruptedDownloadOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := newPaced(t, 3)
		if invocation(t, c, o, o.body) {
			t.Fatal("it was not interrupted")
		}
		had := c.Stats().OriginBytes
		o.err = errOrigin
		if _, err := c.ReadFile(background, o); !errors.Is(err, errOrigin) {
			t.Errorf("err = %v", err)
		}
		o.err = nil
		o.rate.Store(1 << 40)
		if !invocation(t, c, o, o.body) {
			t.Error("it did not come")
		}
		if n := c.Stats().OriginBytes; had < blocks.MinSize || n > interruptedSize+blocks.MinSize {
			t.Errorf("%d bytes received, after %d", n, had)
		}
	})
}
