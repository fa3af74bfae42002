package filecache

import (
	"bytes"
	"context"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// If the boot is unknown or another one, the wall clock gives the age of copies of an
// earlier process.
func TestUnknownBootLeavesTheWallClock(t *testing.T) {
	for _, maxAge := range []time.Duration{0, 30 * time.Millisecond} {
		dir, o := t.TempDir(), newOrigin(100)
		start := func() *Cache { // real clocks, as in production
			c := Must(New(Options{Dir: dir, MaxAge: maxAge}))
			c.store.TestBoot(func() ([16]byte, int64) { return [16]byte{}, 0 }) // darwin, windows, gVisor, another boot
			return c
		}
		first := start()
		first.maxAge = max(first.maxAge, 1)
		if _, err := first.ReadFile(background, o); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * maxAge)
		o.put(randomBytes(100, 2))
		b, err := start().ReadFile(background, o)
		if err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("MaxAge %v: %d requests, stale bytes, %v", maxAge, o.requests(), err)
		}
	}
}

// An entry whose monotonic time lies in the future, on a disk restored with a snapshot
// of the machine, is not fresh.
func TestMonotonicClockAhead(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	c.setBoot(func() ([16]byte, int64) { return [16]byte{1}, c.clocks.Now().Mono + int64(time.Hour) })
	c.want(o)
	o.put(randomBytes(100, 2))
	c.clocks.Move(time.Hour, time.Second)
	n := c.restart(nil)
	n.setBoot(func() ([16]byte, int64) { return [16]byte{1}, c.clocks.Now().Mono })
	n.want(o)
}

// A revalidation is recorded on disk too, and counts from its request.
func TestConfirmationOutlivesTheProcess(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	c.setBoot(func() ([16]byte, int64) { return [16]byte{1}, c.clocks.Now().Mono })
	c.want(o)
	c.clocks.Move(time.Minute, time.Minute)
	slow := &slowObject{origin: o, c: c, d: 30 * time.Second}
	if _, err := c.ReadFile(background, slow); err != nil { // requested now, answered 30 s later
		t.Fatal(err)
	}
	o.requests()
	c.clocks.Move(29*time.Second, 29*time.Second)
	c.restart(nil).want(o)
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests: the confirmation is not on disk", n)
	}
	c.clocks.Move(time.Second, time.Second) // a minute after the request
	c.restart(nil).want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests: the age counts from the answer", n)
	}
	c.want(o) // finds the other process's revalidation
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests, though another process has just revalidated", n)
	}
}

type slowObject struct {
	*origin
	c *testCache
	d time.Duration
}

func (s *slowObject) Fetch(ctx context.Context, req Request) (*Response, error) {
	resp, err := s.origin.Fetch(ctx, req)
	s.c.clocks.Move(s.d, s.d)
	return resp, err
}

// The answer to a request sent before Open began does not show whether the object
// exists now.
func TestJoinedNotFoundFromBeforeThePut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(New(Options{Dir: t.TempDir()}))
		o := newOrigin(100)
		o.wait = make(chan struct{})
		o.err = fs.ErrNotExist
		go c.ReadFile(background, o) // sends a request that is answered late
		synctest.Wait()
		time.Sleep(time.Second)
		o.mu.Lock()
		o.err = nil // now the object exists
		o.mu.Unlock()
		done := make(chan error)
		go func() {
			_, err := c.ReadFile(background, o)
			done <- err
		}()
		synctest.Wait()
		close(o.wait)
		if err := <-done; err != nil {
			t.Errorf("Open after the put: %v", err)
		}
	})
}

// Many callers that always revalidate must not lose the use of the disk.
func TestManyCallersThatAlwaysAskStayCached(t *testing.T) {
	c := Must(New(Options{Dir: t.TempDir()}))
	o := newOrigin(1000)
	done := make(chan struct{})
	for range 64 {
		go func() {
			for range 300 {
				ctx, cancel := context.WithCancel(background)
				if b, err := c.ReadFile(ctx, o); err != nil || len(b) != 1000 {
					t.Error(err)
				}
				cancel()
			}
			done <- struct{}{}
		}()
	}
	for range 64 {
		<-done
	}
	s := c.Stats()
	t.Logf("%+v", s)
	if s.Uncached != 0 {
		t.Errorf("%d opens went around the disk", s.Uncached)
	}
}

func TestKnownCopiesAreBounded(t *testing.T) {
	c := newTest(t, Options{}, nil)
	for i := range store.TestMaxKnown + 10 {
		c.store.TestRemember(store.Key{Origin: "x", Name: string(rune(i + 1))})
	}
	if n := c.store.TestKnown(); n > store.TestMaxKnown {
		t.Errorf("%d copies are known", n)
	}
}

// A late 404 does not remove a copy published since.
func TestLateNotFoundOfAForgottenFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(New(Options{Dir: t.TempDir(), MaxAge: time.Minute}))
		o := newOrigin(100)
		late := make(chan struct{})
		o.wait, o.err = late, fs.ErrNotExist
		done := make(chan error)
		go func() {
			_, err := c.ReadFile(background, o)
			done <- err
		}()
		synctest.Wait()
		o.mu.Lock()
		o.wait, o.err = nil, nil // now the object exists
		o.mu.Unlock()
		c.Forget(o)
		read := func() {
			if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.body) {
				t.Errorf("wrong bytes, or %v", err)
			}
		}
		read()
		close(late)
		if err := <-done; err != nil {
			t.Errorf("the waiting caller: %v", err)
		}
		o.requests()
		read()
		if n := o.requests(); n != 0 {
			t.Error("the new copy was removed")
		}
	})
}

// A copy that another process has revalidated need not be revalidated again.
func TestConfirmedByAnotherProcess(t *testing.T) {
	o := newOrigin(1000)
	c := newTest(t, Options{MaxAge: time.Minute}, nil)
	c.want(o)
	other := c.restart(nil)
	other.want(o)
	c.clocks.Move(time.Minute, time.Minute)
	other.want(o) // revalidates
	o.requests()
	c.want(o)
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests after the confirmation of another process", n)
	}
	c.clocks.Move(time.Minute, time.Minute)
	o.put(randomBytes(1000, 2))
	other.want(o)
	o.requests()
	c.want(o)
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests after the replacement by another process", n)
	}
	c.clocks.Move(time.Minute, time.Minute)
	other.Forget(o)
	o.requests()
	c.want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests after another process removed it", n)
	}
	c.clocks.Move(time.Minute, time.Minute)
	other.want(o)
	c.Forget(o) // another process's revalidation was before
	o.put(randomBytes(1000, 3))
	c.want(o)
}

// If every Open revalidates, it revalidates the copy that another process has fetched.
func TestReplacedByAnotherProcess(t *testing.T) {
	o := newOrigin(1000)
	c := newTest(t, Options{StaleIfError: time.Hour}, nil)
	c.want(o)
	other := c.restart(nil)
	c.clocks.Move(time.Minute, time.Minute)
	o.put(randomBytes(1000, 2))
	other.want(o)
	o.requests()
	c.want(o)
	if s := c.Stats(); s.Misses != 1 || s.Revalidated != 1 {
		t.Errorf("Stats = %+v: fetched the object though a copy existed", s)
	}
	c.clocks.Move(59*time.Minute, 59*time.Minute)
	other.want(o) // revalidates
	c.clocks.Move(59*time.Minute, 59*time.Minute)
	o.err = errOrigin
	c.want(o) // stale, but within StaleIfError since the other process's revalidation
}
