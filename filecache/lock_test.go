package filecache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

// Path does not return a file that is about to be removed.
func TestPathVersusEviction(t *testing.T) {
	for _, own := range []bool{true, false} {
		d := &hookDisk{}
		c, o := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(100_000) / 2}, d), newOrigin(100_000)
		c.want(o)
		holder := c
		if !own {
			holder = c.restart(nil)
		}
		var path string
		data := c.only(c.dataFiles())
		d.remove = func(p string) {
			if p != "d/"+filepath.Base(data) || path != "" {
				return
			}
			d.remove = nil
			var err error
			// the progress of the other goroutine or process: it opened the file before
			// the entry was removed, and locks it now
			l := c.localOf(t, o, data)
			f, err := holder.openLocal(background, o, l)
			if err != nil {
				return
			}
			if path, err = f.bytes.(*localFile).Pin(); err == nil {
				t.Cleanup(func() { f.Close() })
			} else {
				f.Close()
			}
		}
		other := newOrigin(100_000)
		other.name = "other"
		c.want(other) // evicts o
		if path != "" {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("own %v: the path was returned, and then removed: %v", own, err)
			}
		}
	}
}

func (c *testCache) localOf(t *testing.T, o *origin, data string) *store.Copy {
	b, err := os.ReadFile(data)
	if err != nil {
		t.Fatal(err)
	}
	s := blocks.NewDigest(int64(len(b)), nil)
	s.Write(b)
	m := store.Meta{Key: store.Key(mustID(o)), ETag: o.etag, Size: int64(len(b)), Modified: store.Unknown}
	l, _ := c.store.TestForge(m, filepath.Base(data), s, c.clocks.Now(), false)
	return l
}

// hookDisk calls hooks in the middle of operations.
type hookDisk struct {
	osDisk
	open   func(path string)
	remove func(path string)
	opened func(path string)
}

func (d *hookDisk) Open(p string) (disk.File, error) {
	if h := d.open; h != nil {
		h(p)
	}
	f, err := d.osDisk.Open(p)
	if h := d.opened; h != nil {
		h(p)
	}
	return f, err
}

func (d *hookDisk) Remove(p string) error {
	if h := d.remove; h != nil {
		h(p)
	}
	return d.osDisk.Remove(p)
}

// If files cannot be locked, copies are evicted and paths returned all the same.
func TestNoLocksOnTheFileSystem(t *testing.T) {
	const size = 100_000
	d := &faultyDisk{err: syscall.ENOTSUP, fails: func(op string) bool { return op == "flock" }}
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(size) / 2}, d)
	objs := objects(2, size)
	for range 3 {
		for _, o := range objs {
			c.want(o)
		}
	}
	if s := c.Stats(); s.Evictions == 0 {
		t.Errorf("Stats = %+v", s)
	}
	c2 := newTest(t, Options{MaxAge: Immutable}, d)
	o := newOrigin(size)
	c2.want(o)
	o.requests()
	c2.Path(background, o)
	if n := o.requests(); n > 0 {
		t.Errorf("Path fetched a good copy %d times", n)
	}
}

// A check whether a file is locked locks it for a moment.
func TestPathWaitsForALook(t *testing.T) {
	d := &faultyDisk{}
	c, o := newTest(t, Options{MaxAge: time.Hour}, d), newOrigin(largeSize)
	c.want(o)
	o.requests()
	look, err := disk.New(c.root).Open("d/" + filepath.Base(c.only(c.dataFiles())))
	if err != nil {
		t.Fatal(err)
	}
	if err := look.Lock(true); err != nil {
		t.Fatal(err)
	}
	tries := 0
	d.fails = func(op string) bool {
		if op == "flock" {
			if tries++; tries == 3 {
				look.Close()
			}
		}
		return false
	}
	_, release, err := c.Path(background, o)
	if err != nil || o.requests() != 0 {
		t.Fatalf("the copy was dropped, or %v", err)
	}
	release()
	if tries < 3 {
		t.Errorf("the file was locked after %d tries", tries)
	}
}

// A copy that cannot be kept does not count as a missing object.
func TestPathOnADiskThatLosesFiles(t *testing.T) {
	d := &faultyDisk{err: fs.ErrNotExist, fails: func(op string) bool { return op == "read" }}
	c, o := newTest(t, Options{MaxAge: time.Hour}, d), newOrigin(100)
	if _, _, err := c.Path(background, o); !errors.Is(err, ErrNoDisk) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Path = %v", err)
	}
}
