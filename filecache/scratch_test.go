package filecache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/warmcache/warmcache/internal/disk"
)

func TestScratch(t *testing.T) {
	c := newTest(t, Options{}, nil)
	a, removeA, err := c.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	b, removeB, err := c.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Error("two invocations share a directory")
	}
	for _, dir := range []string{a, b} {
		if err := os.WriteFile(filepath.Join(dir, "thumbnail.png"), []byte("x"), 0o600); err != nil {
			t.Error(err)
		}
	}
	if err := removeA(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after remove: %v", err)
	}
	if _, err := os.Stat(filepath.Join(b, "thumbnail.png")); err != nil {
		t.Errorf("the other one's file: %v", err)
	}
	if err := removeB(); err != nil {
		t.Error(err)
	}
	if err := removeB(); err != nil {
		t.Errorf("second remove: %v", err)
	}
}

// The next Scratch removes the directories of killed processes, and keeps those of live
// ones.
func TestScratchSweepsLeftovers(t *testing.T) {
	if !disk.CanLock {
		t.Skip("no locks here: leftovers go by their age")
	}
	c := newTest(t, Options{}, nil)
	live, remove, err := c.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(filepath.Dir(live), "left")
	if err := os.MkdirAll(filepath.Join(left, "deep"), 0o700); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	os.WriteFile(outside, []byte("x"), 0o600)
	os.Symlink(outside, filepath.Join(left, "link"))

	_, remove2, err := c.restart(nil).Scratch()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the leftovers: %v", err)
	}
	if _, err := os.Stat(live); err != nil {
		t.Errorf("the live directory: %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a file that a link pointed to: %v", err)
	}
	remove()
	remove2()
}

func TestScratchWithoutADisk(t *testing.T) {
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	if dir, _, err := c.Scratch(); !errors.Is(err, ErrNoDisk) {
		t.Errorf("Scratch = %q, %v", dir, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	c = newTest(t, Options{Dir: file}, nil)
	if dir, _, err := c.Scratch(); !errors.Is(err, ErrNoDisk) {
		t.Errorf("Scratch below a file = %q, %v", dir, err)
	}
	c.Close()
	if _, _, err := c.Scratch(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Scratch after Close = %v", err)
	}
}

func TestPrefetch(t *testing.T) {
	c := newTest(t, Options{MaxAge: Immutable}, nil)
	objs := objects(10, 1000)
	objs[3].err = errOrigin
	var all []Object
	for _, o := range objs {
		all = append(all, o)
	}
	if err := c.Prefetch(background, all...); !errors.Is(err, errOrigin) {
		t.Errorf("Prefetch = %v", err)
	}
	objs[3].err = nil
	for i, o := range objs {
		o.requests()
		c.want(o)
		if n := o.requests(); (n > 0) != (i == 3) {
			t.Errorf("object %d: %d requests", i, n)
		}
	}
	if err := c.Prefetch(background, nil); err == nil {
		t.Error("Prefetch of a nil Object succeeded")
	}
	if err := c.Prefetch(background); err != nil {
		t.Errorf("Prefetch of nothing = %v", err)
	}
}
