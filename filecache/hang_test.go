package filecache

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// hangingDisk hangs in one of its calls until it is thawed.
type hangingDisk struct {
	osDisk
	call   string // "open" or "touch"
	thawed chan struct{}
}

func (d *hangingDisk) Open(p string) (disk.File, error) {
	if d.call == "open" {
		<-d.thawed
	}
	return d.osDisk.Open(p)
}

func (d *hangingDisk) Touch(p string, t time.Time) error {
	if d.call == "touch" {
		<-d.thawed
	}
	return d.osDisk.Touch(p, t)
}

// newHanging returns a cache on d that uses the clocks of the synctest bubble.
func newHanging(t *testing.T, d *hangingDisk) *testCache {
	t.Helper()
	root := store.DefaultPath(t.TempDir())
	d.use(disk.New(root))
	c, err := newCache(Options{MaxAge: Immutable}, clock.New(), d)
	if err != nil {
		t.Fatal(err)
	}
	return &testCache{Cache: c, t: t, root: root}
}

// If the disk hangs, a hit takes at most half of the caller's time. The caller then
// gets the bytes from the origin, and the disk is not used for a while.
func TestHitOnADiskThatHangs(t *testing.T) {
	for _, call := range []string{"open", "touch"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &hangingDisk{thawed: make(chan struct{})}
				c, o := newHanging(t, d), newOrigin(1000)
				c.want(o)
				time.Sleep(time.Minute)
				d.call = call
				for _, atMost := range []time.Duration{time.Second, 0} {
					began := time.Now()
					ctx, cancel := context.WithTimeout(background, 2*time.Second)
					b, err := c.ReadFile(ctx, o)
					cancel()
					if err != nil || !bytes.Equal(b, o.body) {
						t.Errorf("wrong bytes, or %v", err)
					}
					if took := time.Since(began); took > atMost {
						t.Errorf("it took %v, at most %v", took, atMost)
					}
				}
				c.wantBreaker(BreakerOpen, 1)
				close(d.thawed)
				synctest.Wait()
				time.Sleep(time.Minute)
				c.want(o)
				c.wantBreaker(BreakerClosed, 1)
				if u := c.usage(); u.Files != 0 {
					t.Errorf("%d files are open", u.Files)
				}
			})
		})
	}
}

// A caller whose ctx ends while the disk hangs gets the error of ctx, and the copy
// stays.
func TestCallerLeavesADiskThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &hangingDisk{thawed: make(chan struct{})}
		c, o := newHanging(t, d), newOrigin(1000)
		c.want(o)
		o.requests()
		time.Sleep(time.Minute)
		d.call = "open"
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(time.Second, cancel)
		if _, err := c.ReadFile(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("ReadFile = %v", err)
		}
		close(d.thawed)
		synctest.Wait()
		c.want(o)
		if s := c.Stats(); o.requests() != 0 || s.Faults != 0 || s.Breaker != BreakerClosed {
			t.Errorf("Stats = %+v", s)
		}
	})
}
