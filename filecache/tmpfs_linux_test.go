package filecache

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/disk"
	"golang.org/x/sys/unix"
)

// mountTmpfs mounts a small file system, which requires root.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system; TestEveryFaultOfTheDisk is its unprivileged twin")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestRealDisks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		dir   func(t *testing.T) string
		fault bool // a counter must show it
	}{
		{"full", func(t *testing.T) string {
			dir := mountTmpfs(t, "size=1m")
			fill(t, filepath.Join(dir, "other"), 1<<20)
			return dir
		}, false},
		{"nearly full", func(t *testing.T) string {
			dir := mountTmpfs(t, "size=1m")
			fill(t, filepath.Join(dir, "other"), 600<<10)
			return dir
		}, false},
		{"no inodes left", func(t *testing.T) string { return mountTmpfs(t, "size=8m,nr_inodes=3") }, false},
		{"read-only", func(t *testing.T) string {
			dir := mountTmpfs(t, "size=8m")
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Skipf("cannot remount: %v", err)
			}
			return dir
		}, true},
		{"missing", func(t *testing.T) string { return "/proc/missing/tmp" }, false}, // a file system without a size,
		{"a file", func(t *testing.T) string {
			p := filepath.Join(t.TempDir(), "file")
			fill(t, p, 1)
			return p
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, o := newTest(t, Options{Dir: tt.dir(t), MaxAge: time.Minute}, nil), newOrigin(someSize)
			for range 3 {
				c.want(o)
			}
			s := c.Stats()
			if s.Uncached != 3 || tt.fault != (s.Faults > 0) {
				t.Errorf("Stats = %+v", s)
			}
		})
	}
}

// A disk that fills up only when the bytes arrive, because another program used the
// room.
func TestRealDiskFillsUpInTheMiddle(t *testing.T) {
	dir := mountTmpfs(t, "size=2m")
	c, o := newTest(t, Options{Dir: dir, MaxBytes: 2 << 20}, &spaceDisk{sp: disk.Space{Total: 1 << 30, Free: 1 << 30}}), newOrigin(someSize)
	fill(t, filepath.Join(dir, "other"), 2<<20-blocks.MinSize-64<<10)
	c.want(o)
	if s := c.Stats(); s.Faults == 0 || s.Uncached != 1 {
		t.Errorf("Stats = %+v", s)
	}
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests: the download did not go on", n)
	}
	os.Remove(filepath.Join(dir, "other"))
	c.want(o)
	if s := c.Stats(); s.Uncached != 1 {
		t.Errorf("with room again: Stats = %+v", s)
	}
}

func fill(t *testing.T, path string, n int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(make([]byte, n)) // as much as fits
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Inodes can run out long before bytes do, and the function needs some of them.
func TestInodesCount(t *testing.T) {
	for _, max := range []int64{0, 32 << 20} {
		dir := mountTmpfs(t, "size=64m,nr_inodes=200")
		c := newTest(t, Options{Dir: dir, MaxAge: Immutable, MaxBytes: max}, nil)
		for _, o := range objects(300, 1000) {
			c.want(o)
		}
		if s := c.Stats(); s.Uncached != 0 || s.Faults != 0 || s.Evictions < 110 || s.Evictions > 170 { // a copy is one file
			t.Errorf("MaxBytes %d: Stats = %+v", max, s)
		}
		for i := range 8 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("own", i)), []byte("x"), 0o600); err != nil {
				t.Errorf("MaxBytes %d: the function's own file: %v", max, err)
			}
		}
	}
}

// ScratchSize promises only the space that a real file system has.
func TestScratchSizeOnARealDisk(t *testing.T) {
	const mib = 1 << 20
	dir := mountTmpfs(t, "size=64m")
	c := newTest(t, Options{Dir: dir, MaxAge: Immutable, MaxBytes: 48 * mib}, nil)
	objs := objects(80, mib)
	for _, o := range objs {
		c.want(o)
	}
	work, remove, err := c.ScratchSize(40 * mib)
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	for _, o := range objs {
		c.want(o)
	}
	fill(t, filepath.Join(work, "output"), 40*mib)
	if fi, err := os.Stat(filepath.Join(work, "output")); err != nil || fi.Size() != 40*mib {
		t.Errorf("%d bytes, %v", fi.Size(), err)
	}
}
