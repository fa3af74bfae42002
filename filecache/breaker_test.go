package filecache

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

func (d *faultyDisk) operations() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.count
	d.count = 0
	return n
}

func (c *testCache) wantBreaker(state BreakerState, opened int64) {
	c.t.Helper()
	if s := c.Stats(); s.Breaker != state || s.BreakerOpened != opened {
		c.t.Errorf("breaker is %v and was open %d times, want %v and %d", s.Breaker, s.BreakerOpened, state, opened)
	}
}

// A directory that keeps failing is not used, is tried again after an interval that
// doubles, on either clock, and is used again once it works.
func TestBreaker(t *testing.T) {
	broken := true
	d := &faultyDisk{err: syscall.EIO, fails: func(string) bool { return broken }}
	c, o := newTest(t, Options{MaxAge: Immutable}, d), newOrigin(1000)
	for c.Stats().Breaker == BreakerClosed {
		c.want(o)
	}
	if n := c.Stats().Faults; n != disk.BreakAfter {
		t.Errorf("open after %d faults", n)
	}
	d.operations()
	rest := disk.FirstOpenFor
	for i := range 12 {
		c.want(o)
		if _, _, err := c.Path(background, o); !errors.Is(err, ErrNoDisk) {
			t.Errorf("Path = %v", err)
		}
		if _, _, err := c.Scratch(); !errors.Is(err, ErrNoDisk) {
			t.Errorf("Scratch = %v", err)
		}
		c.Forget(o)
		c.Clear()
		if n := d.operations(); n != 0 {
			t.Errorf("%d operations on a directory that is left alone", n)
		}
		c.wantBreaker(BreakerOpen, int64(i+1))
		if i%2 == 0 {
			c.clocks.Move(rest-1, rest-1)
			c.wantBreaker(BreakerOpen, int64(i+1))
			c.clocks.Move(1, 0)
		} else {
			c.clocks.Move(0, rest)
		}
		c.wantBreaker(BreakerProbing, int64(i+1))
		c.want(o) // fails again
		if n := d.operations(); n != 1 {
			t.Errorf("%d operations, want the one that fails", n)
		}
		rest = min(2*rest, 5*time.Minute)
	}
	broken = false
	c.clocks.Move(rest, rest)
	c.want(o)
	c.wantBreaker(BreakerClosed, 13)
	o.requests()
	c.want(o)
	if n := o.requests(); n != 0 {
		t.Error("the copy is not used")
	}
	broken = true // the first interval is short again
	for c.Stats().Breaker == BreakerClosed {
		c.want(o)
	}
	c.clocks.Move(disk.FirstOpenFor, 0)
	c.wantBreaker(BreakerProbing, 14)
}

// Faults do not add up if the directory works in between.
func TestBreakerCountsFaultsInARow(t *testing.T) {
	fail := false
	d := &faultyDisk{err: syscall.EIO, fails: func(op string) bool { return fail && op == "open" }}
	c, o := newTest(t, Options{MaxAge: Immutable}, d), newOrigin(1000)
	c.want(o)
	for range 3 * disk.BreakAfter {
		f := c.store.TestFailures()
		fail = true
		c.lookupFault(o)
		fail = false
		if c.store.TestFailures() == f {
			t.Fatal("the fault was not counted: the test is void")
		}
		c.want(o)
		c.wantBreaker(BreakerClosed, 0)
	}
}

// lookupFault finds the copy on a disk that fails.
func (c *testCache) lookupFault(o *origin) {
	c.store.TestUnknow(store.Key(mustID(o)))
	c.store.Find(store.Key(mustID(o)))
}

// Faults of one file, or faults that pass, do not open the breaker.
func TestWhatIsNoFaultOfTheDirectory(t *testing.T) {
	for _, err := range []error{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.EINTR, fs.ErrNotExist, store.ErrDamaged, store.TestErrEntry,
	} {
		d := &faultyDisk{from: 1, err: err}
		c, o := newTest(t, Options{MaxAge: Immutable}, d), newOrigin(1000)
		for range 3 * disk.BreakAfter {
			c.want(o)
		}
		c.wantBreaker(BreakerClosed, 0)
	}
	for _, err := range []error{syscall.EIO, syscall.EROFS, syscall.EACCES, syscall.ENOTDIR, syscall.ESTALE, syscall.ETIMEDOUT, errors.New("belongs to another user")} {
		d := &faultyDisk{from: 1, err: err}
		c, o := newTest(t, Options{MaxAge: Immutable}, d), newOrigin(1000)
		for range 3 * disk.BreakAfter {
			c.want(o)
		}
		c.wantBreaker(BreakerOpen, 1)
	}
}

// A file that is unreadable because of its mode is replaced, since it would stay
// unreadable. It does not open the breaker.
func TestUnreadableFileIsReplaced(t *testing.T) {
	for _, tt := range []struct {
		sub  string
		size int
	}{{"d", largeSize}, {"e", largeSize}, {"e", smallSize}} {
		c, o := newTest(t, Options{MaxAge: Immutable}, &heedsModes{}), newOrigin(tt.size)
		c.want(o)
		if err := os.Chmod(c.only(c.glob(tt.sub)), 0); err != nil {
			t.Fatal(err)
		}
		o.requests()
		c = c.restart(&heedsModes{})
		for range 2 * disk.BreakAfter {
			c.want(o)
		}
		if n := o.requests(); n != 1 {
			t.Errorf("%+v: %d requests", tt, n)
		}
		c.wantBreaker(BreakerClosed, 0)
	}
}

// heedsModes is a disk as a user other than root sees it.
type heedsModes struct{ osDisk }

func (d *heedsModes) Open(p string) (disk.File, error) {
	if fi, err := d.Lstat(p); err == nil && fi.Mode.Perm()&0o400 == 0 {
		return nil, &fs.PathError{Op: "open", Path: p, Err: syscall.EACCES}
	}
	return d.osDisk.Open(p)
}
