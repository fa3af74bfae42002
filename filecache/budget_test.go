package filecache

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

func objects(n, size int) []*origin {
	var os []*origin
	for i := range n {
		o := newOrigin(0)
		o.name = fmt.Sprintf("object-%d", i)
		o.put(randomBytes(size, uint64(i)))
		os = append(os, o)
	}
	return os
}

func (c *testCache) diskBytes() (n int64) {
	for _, p := range append(c.dataFiles(), c.entryFiles()...) {
		if fi, err := os.Stat(p); err == nil {
			n += (fi.Size() + 4095) / 4096 * 4096
		}
	}
	return n
}

func TestEvictsLeastRecentlyUsed(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(size)}, nil)
	objs := objects(4, size)
	for i, o := range objs[:3] { // the clock of the file system may be coarse
		c.want(o)
		at := time.Now().Add(time.Duration(i-3) * time.Second)
		os.Chtimes(c.entryPath(entryName(mustID(o))), at, at)
	}
	c.clocks.Move(time.Minute, time.Minute)
	c.want(objs[0]) // used again: now objs[1] is the oldest
	c.clocks.Move(time.Minute, time.Minute)
	c.want(objs[3])
	if n := c.diskBytes(); n > c.maxBytes {
		t.Errorf("%d bytes on disk, the budget is %d", n, c.maxBytes)
	}
	for i, want := range []int{0, 1, 0, 0} {
		objs[i].requests()
		if i == 1 {
			continue
		}
		c.restart(nil).want(objs[i])
		if n := objs[i].requests(); n != want {
			t.Errorf("object %d: %d requests, want %d", i, n, want)
		}
	}
	if s := c.Stats(); s.Evictions != 1 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestBudgetHoldsOverManyObjects(t *testing.T) {
	const size = 50_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 5 * onDisk(size)}, nil)
	for i, o := range objects(40, size) {
		c.want(o)
		c.clocks.Move(time.Second, time.Second)
		if n := c.diskBytes(); n > c.maxBytes {
			t.Fatalf("after %d objects: %d bytes on disk, the budget is %d", i+1, n, c.maxBytes)
		}
		if i%10 == 9 {
			c = c.restart(nil)
		}
	}
}

// An object larger than the budget does not empty the cache.
func TestOversizeObject(t *testing.T) {
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 1 << 20}, nil)
	small, large := objects(1, 1000)[0], newOrigin(2<<20)
	c.want(small)
	c.want(large)
	small.requests()
	c.want(small)
	if n := small.requests(); n != 0 {
		t.Error("the small object was evicted")
	}
	if s := c.Stats(); s.Uncached != 1 || s.Faults != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// Evicting an open file would free nothing.
func TestOpenFilesAreNotEvicted(t *testing.T) {
	const size = 100_000
	objs := objects(3, size)
	for name, hold := range map[string]func(c *testCache, o *origin) func(){
		"open": func(c *testCache, o *origin) func() {
			f, err := c.Open(background, o)
			if err != nil {
				t.Fatal(err)
			}
			return func() {
				if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
					t.Errorf("the open file: wrong bytes, or %v", err)
				}
				f.Close()
			}
		},
		"path": func(c *testCache, o *origin) func() {
			_, release, err := c.Path(background, o)
			if err != nil {
				t.Fatal(err)
			}
			return release
		},
		"path of another process": func(c *testCache, o *origin) func() {
			_, release, err := c.restart(nil).Path(background, o)
			if err != nil {
				t.Fatal(err)
			}
			return release
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 2 * onDisk(size)}, nil)
			c.want(objs[0])
			release := hold(c, objs[0])
			for i := range 3 { // objs[0] is by far the oldest
				c.clocks.Move(time.Minute, time.Minute)
				c.want(objs[1+i%2])
			}
			objs[0].requests()
			c.want(objs[0])
			if n := objs[0].requests(); n != 0 {
				t.Error("it was evicted")
			}
			release()
		})
	}
}

// A file that a killed process left under construction is removed once it is old and
// room is needed; data without an entry is removed at once.
func TestSweep(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(size)}, nil)
	objs := objects(3, size)
	c.want(objs[0])
	orphan := c.dataPath(store.TestDataName(entryName(ID{Name: "x"}), 2*size, 3))
	temp := c.dataPath(disk.TempPrefix + "1")
	foreign := []string{c.entryPath("foreign"), c.dataPath("12-34"), c.dataPath("notes.txt")} // a Store does not use such names
	for _, p := range append([]string{orphan, temp}, foreign...) {
		if err := os.WriteFile(p, make([]byte, 10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c = c.restart(nil)
	c.want(objs[1]) // there is no room next to the orphan
	if s := c.Stats(); s.Evictions != 0 {
		t.Errorf("%d copies were evicted, and not the orphan", s.Evictions)
	}
	if _, err := os.Stat(orphan); err == nil {
		t.Error("the orphan is still there")
	}
	if _, err := os.Stat(temp); err != nil {
		t.Errorf("%s was swept while it may be in use", temp)
	}
	old := time.Now().Add(-time.Hour)
	for _, p := range append([]string{temp}, foreign...) {
		os.Chtimes(p, old, old)
	}
	c.want(objs[2])
	if _, err := os.Stat(temp); err == nil {
		t.Errorf("%s is still there", temp)
	}
	c.Clear()
	for _, p := range foreign {
		if _, err := os.Stat(p); err != nil {
			t.Errorf("%s was removed, which no Store has made", p)
		}
	}
}

// A file that cannot be decoded is evicted like an entry that is equally old.
func TestDamagedEntryIsEvicted(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 2 * onDisk(size)}, nil)
	objs := objects(3, size)
	c.want(objs[0])
	junk := c.entryPath(strings.Repeat("ab", 32))
	if err := os.WriteFile(junk, make([]byte, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Minute)
	os.Chtimes(junk, old, old)
	c.want(objs[1])
	c.want(objs[2])
	if _, err := os.Stat(junk); err == nil {
		t.Error("it is still there")
	}
}

// Space that eviction would free counts as room before anything is reserved, too.
func TestWhatFitsAfterEviction(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(20<<20)
	c.want(o)
	full := c.restart(&spaceDisk{sp: disk.Space{Total: 100 << 20, Free: 4 << 20}})
	if !full.store.Fits(10<<20) || full.store.Fits(20<<20) {
		t.Error("wanted: 10 MiB do fit, 20 do not")
	}
}

type spaceDisk struct {
	osDisk
	sp disk.Space
}

func (d *spaceDisk) Space() (disk.Space, error) { return d.sp, nil }
