package filecache

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/cgroup"
	"github.com/warmcache/warmcache/internal/disk"
)

// quotaDisk refuses new files as a quota does: the file system reports free space.
type quotaDisk struct {
	osDisk
	in    string // the directory
	dir   func() []string
	files int
	err   error
	call  string // that it refuses: create, write or link
}

func (d *quotaDisk) full() bool { return len(d.dir()) >= d.files }

func (d *quotaDisk) Create(dir string, size int64) (disk.NewFile, error) {
	if d.call == "create" && dir == d.in && d.full() {
		return nil, &os.PathError{Op: "create", Path: dir, Err: d.err}
	}
	f, err := d.osDisk.Create(dir, size)
	if err != nil || dir != d.in {
		return f, err
	}
	return quotaFile{f, d}, nil
}

type quotaFile struct {
	disk.NewFile
	d *quotaDisk
}

func (f quotaFile) WriteAt(p []byte, off int64) (int, error) {
	if f.d.call == "write" && f.d.full() {
		n, _ := f.NewFile.WriteAt(p[:len(p)/2], off)
		return n, f.d.err
	}
	return f.NewFile.WriteAt(p, off)
}

func (f quotaFile) Write(p []byte) (int, error) {
	if f.d.call == "write" && f.d.full() {
		n, _ := f.NewFile.Write(p[:len(p)/2])
		return n, f.d.err
	}
	return f.NewFile.Write(p)
}

func (f quotaFile) Publish(name string) error {
	if f.d.call == "link" && f.d.full() {
		return &os.LinkError{Op: "link", New: name, Err: f.d.err}
	}
	return f.NewFile.Publish(name)
}

// If the file system is full before the budget is, or a quota is exceeded, the copy is
// lost and the download succeeds.
func TestFullFileSystemEvicts(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		for _, call := range []string{"create", "write", "link"} {
			for _, o := range []struct {
				in   string
				size int
			}{{"d", largeSize}, {"e", largeSize}, {"e", smallSize}} {
				d := &quotaDisk{in: o.in, files: 3, err: err, call: call}
				c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 1 << 30}, d)
				d.dir = func() []string { return c.glob(o.in) }
				for _, object := range objects(8, o.size) {
					c.want(object)
				}
				if s := c.Stats(); s.Uncached != 0 || s.Evictions != 5 || s.Faults != 0 {
					t.Errorf("%v, %+v, %s: Stats = %+v", err, o, call, s)
				}
			}
		}
	}
}

// Nothing is evicted twice for one object: the download then continues in memory.
func TestFullFileSystemIsTriedOnce(t *testing.T) {
	for in, size := range map[string]int{"d": largeSize, "e": smallSize} {
		d := &quotaDisk{in: in, files: 1, err: syscall.ENOSPC, call: "create", dir: func() []string { return nil }}
		c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 1 << 30}, d)
		objs := objects(5, size)
		for _, o := range objs[:4] {
			c.want(o)
		}
		d.files = 0 // full from now on, even after evictions
		c.want(objs[4])
		if s := c.Stats(); s.Uncached != 1 || s.Evictions != 1 || s.FaultsBy["ENOSPC"] != 1 {
			t.Errorf("%s: Stats = %+v", in, s)
		}
	}
}

// A process that revalidates its copy does not replace a newer one, which another
// process has fetched since.
func TestRevalidationLeavesTheNewerCopy(t *testing.T) {
	for files, size := range map[int]int{1: smallSize, 2: largeSize} {
		c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(size)
		c.want(o)
		old := c.store.Lookup(store.Key(mustID(o)))
		other := c.restart(nil)
		o.put(randomBytes(size, 2))
		c.clocks.Move(time.Minute, time.Minute)
		other.want(o)
		c.store.Revalidated(old, store.Validation{At: c.clocks.Now()}, true, func() bool { return false })
		if n := len(c.entryFiles()) + len(c.dataFiles()); n != files {
			t.Errorf("%d files: %d are there", files, n)
		}
		o.requests()
		c.restart(nil).want(o)
		if n := o.requests(); n != 0 {
			t.Errorf("%d files: %d requests: the newer copy was lost", files, n)
		}
	}
}

// A process that revalidates a copy which another process has evicted does not leave an
// entry without data.
func TestRevalidationOfAnEvictedCopy(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	c.want(o)
	old := c.store.Lookup(store.Key(mustID(o)))
	c.restart(nil).Forget(o)
	c.store.Revalidated(old, store.Validation{At: c.clocks.Now()}, true, func() bool { return false })
	if n := len(c.entryFiles()); n != 0 {
		t.Error("an entry without data")
	}
}

// Misses because of an eviction, by this process or another one, do not count as
// damage.
func TestEvictionIsNotDamage(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 2 * onDisk(size)}, nil)
	objs := objects(4, size)
	c.want(objs[0])
	l := c.store.Lookup(store.Key(mustID(objs[0])))
	for _, o := range objs[1:] {
		c.want(o)
	}
	c.store.TestKnow(l) // as if the Open had found it before the eviction
	c.want(objs[0])
	if s := c.Stats(); s.MissesBy.Evicted != 1 || s.MissesBy.Damaged != 0 || s.Faults != 0 {
		t.Errorf("evicted by this process: Stats = %+v", s)
	}
	other := c.restart(nil)
	for _, o := range objs[1:] {
		other.want(o)
	}
	c.want(objs[0])
	if s := c.Stats(); s.MissesBy.Damaged != 0 || s.Faults != 0 {
		t.Errorf("evicted by another process: Stats = %+v", s)
	}
	os.Remove(c.dataFiles()[0])
	os.Remove(c.dataFiles()[0])
	c.want(objs[0])
	if s := c.Stats(); s.MissesBy.Damaged != 1 {
		t.Errorf("data that vanished: Stats = %+v", s)
	}
}

// The memory of an object counts exactly once, from its download until its last File is
// closed.
func TestMemoryIsCountedOnce(t *testing.T) {
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	o := newOrigin(1000)
	src := source{object: object{id: mustID(o), size: 1000}, bytes: func() *inMemory {
		s := c.newSink(1000, false)
		b := s.handOver()
		s.close()
		return b
	}()}
	want := func(when string, n int64) {
		t.Helper()
		if got := c.heldMemory(); got != n {
			t.Errorf("%s: %d bytes are held, want %d", when, got, n)
		}
	}
	want("downloaded", 1000)
	f, _ := c.newFile(background, o, src)
	g, _ := c.newFile(background, o, src)
	want("open twice", 1000)
	f.Close()
	want("open", 1000)
	g.Close()
	want("closed", 0)
	h, _ := c.newFile(background, o, src) // a caller that joined late
	want("open again", 1000)
	h.Close()
	want("closed again", 0)
}

// An object that was never opened does not keep its memory.
func TestMemoryOfAnAbandonedDownload(t *testing.T) {
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	s := c.newSink(1000, false)
	s.handOver()
	s.close()
	waitFor(t, func() bool { runtime.GC(); return c.heldMemory() == 0 }) // another goroutine runs cleanups
}

// Objects in memory leave enough memory to the container.
func TestMemoryLimitOfTheContainer(t *testing.T) {
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	c.memory.there = &cgroup.Memory{Left: func() (int64, bool) { return 4 << 20, true }}
	small, large := newOrigin(1<<20), newOrigin(1<<20+1)
	for o, inMemory := range map[*origin]bool{small: true, large: false} {
		f, err := c.Open(background, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.bytes.(memoryFile); ok != inMemory {
			t.Errorf("%d bytes are read by a %T", len(o.body), f.bytes)
		}
		if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("wrong bytes, or %v", err)
		}
		f.Close()
	}
}

// A Last-Modified that an entry cannot store is unknown, and not another time.
func TestLastModifiedFarAway(t *testing.T) {
	for _, tt := range []struct{ at, want time.Time }{
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Time{}},
		{time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}},
		{time.Date(2261, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2261, 12, 31, 0, 0, 0, 0, time.UTC)},
		{time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), time.Time{}},
	} {
		c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(100)
		o.modified = tt.at
		for range 2 {
			f, err := c.Open(background, o)
			if err != nil {
				t.Fatal(err)
			}
			if fi, _ := f.Stat(); !fi.ModTime().Equal(tt.want) {
				t.Errorf("Last-Modified %v is reported as %v", tt.at, fi.ModTime())
			}
			f.Close()
		}
	}
}

// functionDisk is a file system of which the function uses a part.
type functionDisk struct {
	osDisk
	used  func() int64 // by the cache
	total int64
	other int64
}

func (d *functionDisk) Space() (disk.Space, error) {
	return disk.Space{Total: d.total, Free: d.total - d.other - d.used()}, nil
}

func newFunctionDisk(t *testing.T, opts Options, total int64) (*testCache, *functionDisk) {
	d := &functionDisk{total: total}
	c := newTest(t, opts, d)
	d.used = c.diskBytes
	return c, d
}

func TestKeepFree(t *testing.T) {
	const mib = 1 << 20
	c, d := newFunctionDisk(t, Options{MaxAge: Immutable, KeepFree: 60 * mib}, 100*mib)
	for _, o := range objects(60, mib) {
		c.want(o)
		if sp, _ := d.Space(); sp.Free < 60*mib {
			t.Fatalf("%d bytes are free", sp.Free)
		}
	}
	if s := c.Stats(); s.Uncached != 0 || s.Evictions > 30 {
		t.Errorf("Stats = %+v", s)
	}
	d.other += 20 * mib // the function uses more of it
	next := objects(62, mib)[60:]
	c.want(next[0])
	if sp, _ := d.Space(); sp.Free < 60*mib {
		t.Errorf("%d bytes are free after another copy was stored", sp.Free)
	}
	d.other += 50 * mib // more than all copies can give back
	evictions := c.Stats().Evictions
	c.want(next[1])
	if s := c.Stats(); s.Uncached != 1 || s.Evictions != evictions {
		t.Errorf("Stats = %+v: evicted in vain", s)
	}
}

func TestMakeRoom(t *testing.T) {
	const mib = 1 << 20
	c, d := newFunctionDisk(t, Options{MaxAge: Immutable}, 100*mib)
	objs := objects(60, mib)
	for _, o := range objs {
		c.want(o)
	}
	f, err := c.Open(background, objs[59])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	evicted := c.Stats().Evictions
	if free, err := c.MakeRoom(100 * mib); err != nil || free >= 100*mib || c.Stats().Evictions != evicted {
		t.Errorf("more than there can be: %d, %v, %d evictions", free, err, c.Stats().Evictions-evicted)
	}
	free, err := c.MakeRoom(80 * mib)
	if sp, _ := d.Space(); err != nil || free < 80*mib || sp.Free != free || free > 82*mib {
		t.Errorf("MakeRoom = %d, %v, and %d bytes are free", free, err, sp.Free)
	}
	if free, err = c.MakeRoom(98 * mib); err != nil || free < 98*mib {
		t.Errorf("MakeRoom of all but the open copy = %d, %v", free, err)
	}
	c.Close()
	if _, err := c.MakeRoom(1); err == nil {
		t.Error("MakeRoom after Close")
	}
}

// Promised room is kept until the function has written to it.
func TestScratchSize(t *testing.T) {
	const mib = 1 << 20
	c, d := newFunctionDisk(t, Options{MaxAge: Immutable}, 100*mib)
	objs := objects(80, mib)
	for _, o := range objs[:60] {
		c.want(o)
	}
	_, remove, err := c.ScratchSize(70 * mib)
	if err != nil {
		t.Fatal(err)
	}
	more := func(least int64) {
		t.Helper()
		for _, o := range objs[60:] {
			c.want(o)
		}
		if sp, _ := d.Space(); sp.Free < least {
			t.Errorf("%d MiB are free, want %d", sp.Free/mib, least/mib)
		}
	}
	more(70 * mib)
	d.other += 40 * mib
	evicted := c.Stats().Evictions
	more(30 * mib)
	if n := c.Stats().Evictions - evicted; n > 1 {
		t.Errorf("%d copies were evicted, though the function wrote to its own room", n)
	}
	remove()
	remove()
	d.other = 0
	for _, o := range objs {
		c.want(o)
	}
	if sp, _ := d.Space(); sp.Free > 30*mib {
		t.Errorf("%d MiB are free after remove: the promise is still kept", sp.Free/mib)
	}
	if _, _, err := c.ScratchSize(200 * mib); err == nil || !strings.Contains(err.Error(), "bytes are free") {
		t.Errorf("ScratchSize of more than there is = %v", err)
	}
	if _, _, err := c.ScratchSize(-1); err == nil {
		t.Error("a negative size")
	}
}

// While the contents of a directory are unknown, no copy is evicted for which the file
// system has room.
func TestNoNeedlessEvictionAtTheStart(t *testing.T) {
	const size, n = 100, 600 // more than a process scans at first
	d := &functionDisk{total: 100 << 20}
	c := newTest(t, Options{MaxAge: Immutable}, d)
	d.used = func() int64 { return 20 << 20 }
	objs := objects(n+10, size)
	for _, o := range objs[:n] {
		c.want(o)
	}
	c = c.restart(d)
	for _, o := range objs[n:] {
		c.want(o)
	}
	if s := c.Stats(); s.Evictions != 0 || s.Uncached != 0 {
		t.Errorf("Stats = %+v", s)
	}
}
