package filecache

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// An object that cannot get room even by eviction evicts nothing.
func TestNoEvictionInVain(t *testing.T) {
	const unit = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 10 * onDisk(unit)}, nil)
	big := newOrigin(6 * unit)
	big.name = "big"
	f, err := c.Open(background, big)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // stays
	small := objects(3, unit)
	for _, o := range small {
		c.want(o)
	}
	second := newOrigin(6 * unit)
	second.name = "second"
	c.want(second) // there is no room for it next to big
	if s := c.Stats(); s.Uncached != 1 || s.Evictions != 0 {
		t.Errorf("Stats = %+v: %d evictions that made no room", s, s.Evictions)
	}
}

// On a disk that allocates the room at once (fallocate), a download in progress does
// not count twice, as reserved and as no longer free.
func TestRoomUnderWayIsCountedOnce(t *testing.T) {
	const size = 20 << 20
	free := int64(50 << 20)
	d := &allocatingDisk{total: 1 << 30, free: &free}
	d.total = 50 << 20
	c := newTest(t, Options{MaxAge: Immutable, Concurrency: 1}, d)
	a, b, s := newOrigin(size), newOrigin(size*3/4), newOrigin(largeSize)
	a.name, b.name, s.name = "a", "b", "s"
	c.want(s)
	half := make(chan struct{})
	goOn := make(chan struct{})
	a.spoil = func(n int, body []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(body[:size/2]), readerFunc(func([]byte) (int, error) {
			close(half)
			<-goOn
			return 0, io.EOF
		}), bytes.NewReader(body[size/2:]))
	}
	done := make(chan struct{})
	go func() { c.ReadFile(background, a); close(done) }()
	<-half
	c.want(b) // 20 + 15 of 37.5 MiB
	close(goOn)
	<-done
	if s := c.Stats(); s.Uncached != 0 || s.Evictions != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

type allocatingDisk struct {
	osDisk
	total int64
	free  *int64
}

func (d *allocatingDisk) Space() (disk.Space, error) {
	return disk.Space{Total: d.total, Free: *d.free}, nil
}

func (d *allocatingDisk) Create(dir string, size int64) (disk.NewFile, error) {
	*d.free -= size
	return d.osDisk.Create(dir, size)
}

// Data files that another program removed are not freed a second time.
func TestBudgetAfterDataVanished(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 5 * onDisk(size)}, nil)
	objs := objects(9, size)
	for _, o := range objs[:4] {
		c.want(o)
	}
	os.RemoveAll(c.dataPath("")) // a cleaner of /tmp
	c.clocks.Move(time.Minute, time.Minute)
	c.want(objs[4]) // scans the directory again
	for _, o := range objs {
		c.want(o)
		if n := c.diskBytes(); n > c.maxBytes {
			t.Fatalf("%d bytes on disk, the budget is %d, counted are %d", n, c.maxBytes, c.usage().Used)
		}
	}
}

// Removing a file that another process wrote since the last scan does not subtract
// bytes that were never added.
func TestBudgetBesideAnotherProcess(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(size)}, nil)
	c.want(newOrigin(10)) // scans
	other := c.restart(nil)
	o := newOrigin(size)
	o.name = "shared"
	for range 10 {
		other.want(o)
		c.Forget(o)
	}
	for _, o := range objects(10, size) {
		c.want(o)
	}
	if n := c.diskBytes(); n > c.maxBytes {
		t.Errorf("%d bytes on disk, the budget is %d, counted are %d", n, c.maxBytes, c.usage().Used)
	}
}

// A replaced file uses disk space until its last Close.
func TestReplacedFilesThatAreOpenAreNotFree(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: 0, MaxBytes: 3 * onDisk(size)}, nil)
	o := newOrigin(size)
	n := 0
	for i := range 8 {
		o.put(randomBytes(size, uint64(i)))
		f, err := c.Open(background, o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, ok := f.bytes.(*localFile); ok {
			n++
		}
	}
	if int64(n)*onDisk(size) > c.maxBytes {
		t.Errorf("%d versions are open on disk: %d bytes, the budget is %d", n, int64(n)*onDisk(size), c.maxBytes)
	}
}

// Files under construction that killed processes left count, and are removed.
func TestFilesUnderConstructionCount(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(size)}, nil)
	c.want(objects(1, 10)[0])
	for i := range 5 {
		p := c.dataPath(fmt.Sprintf("%s%d", disk.TempPrefix, i))
		os.WriteFile(p, make([]byte, size), 0o600)
		old := time.Now().Add(-time.Hour)
		os.Chtimes(p, old, old)
	}
	c = c.restart(nil)
	c.want(newOrigin(size))
	if n := c.diskBytes(); n > c.maxBytes {
		t.Errorf("%d bytes on disk, the budget is %d", n, c.maxBytes)
	}
}

// Data with an entry is never litter, however old it is. Other data is litter, however
// young, unless a live process is about to write its entry.
func TestSweepLeavesReferredData(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(largeSize)
	c.want(o)
	c.clocks.Move(time.Hour, time.Hour)
	n, _ := c.store.TestSweep()
	if n != 1 || len(c.dataFiles()) != 1 {
		t.Errorf("%d copies, %v", n, c.dataFiles())
	}
	young := c.dataPath(store.TestDataName(entryName(ID{Name: "x"}), 2, 3))
	os.WriteFile(young, nil, 0o600)
	release := c.restart(nil).store.TestLockEntry(store.Key{Name: "x"})
	c.store.TestSweep()
	if _, err := os.Stat(young); err != nil {
		t.Error("swept while its maker lives")
	}
	release()
	c.store.TestSweep()
	if _, err := os.Stat(young); err == nil {
		t.Error("not swept")
	}
}

// Of two data files of one entry, the older one was left behind.
func TestSweepFindsReplacedData(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(largeSize)
	c.want(o)
	for i := range 3 {
		os.WriteFile(c.dataPath(store.TestDataName(entryName(mustID(o)), largeSize, uint64(i))), make([]byte, 100), 0o600)
	}
	c.store.TestSweep()
	o.requests()
	c.only(c.dataFiles())
	c.restart(nil).want(o)
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests: the data that the entry refers to was swept", n)
	}
}

// Without locks, live processes cannot be detected: only old files count as orphans.
func TestSweepWithoutLocks(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(largeSize)
	c.store.TestWrap(func(d disk.FS) disk.FS { return brokenTurns{d, syscall.ENOLCK} })
	c.want(o)
	young := c.dataPath(store.TestDataName(entryName(ID{Name: "x"}), 2, 3))
	os.WriteFile(young, nil, 0o600)
	fi, _ := os.Stat(young)
	c.clocks.Move(time.Duration(fi.ModTime().UnixNano()-c.clocks.Now().Wall)+clock.LongestInvocation-1, 0)
	c.store.TestSweep()
	if _, err := os.Stat(young); err != nil {
		t.Error("swept while it may be in use")
	}
	c.clocks.Move(1, 0)
	c.store.TestSweep()
	if _, err := os.Stat(young); err == nil {
		t.Error("not swept")
	}
}

// Files of other processes are noticed in time.
func TestRescanFindsOtherProcesses(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(size)}, nil)
	objs := objects(6, size)
	c.want(objs[0])
	other := c.restart(nil)
	other.want(objs[1])
	other.want(objs[2])
	c.clocks.Move(store.TestRescanAfter, store.TestRescanAfter)
	c.want(objs[3])
	if n := c.diskBytes(); n > c.maxBytes {
		t.Errorf("%d bytes on disk, the budget is %d", n, c.maxBytes)
	}
}

// There is room for only one of two concurrent downloads.
func TestReservationsCount(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 * onDisk(size) / 2}, nil)
	if !c.store.TestReserve(size) || c.store.TestReserve(size) {
		t.Error("the room was given away twice")
	}
	c.store.TestUnreserve(size)
	if !c.store.TestReserve(size) {
		t.Error("the room was not given back")
	}
}

// An object that needs the room of one copy evicts one. It does not read more of the
// directory, however large that is.
func TestEvictionCostDoesNotGrow(t *testing.T) {
	const size = 1000
	calls := func(n int) (perEviction int) {
		d := &faultyDisk{}
		c := newTest(t, Options{MaxAge: Immutable, MaxBytes: int64(n) * onDisk(size)}, d)
		objs := objects(n+40, size)
		for _, o := range objs[:n+20] {
			c.want(o)
		}
		d.count = 0
		for _, o := range objs[n+20:] {
			c.want(o)
		}
		if s := c.Stats(); s.Evictions != 40 || s.Uncached != 0 {
			t.Errorf("%d copies: Stats = %+v", n, s)
		}
		return d.count / 20
	}
	few, many := calls(100), calls(1600) // more than an index remembers
	t.Logf("%d operations on the disk each with 100 copies, %d with 1600", few, many)
	if many > few*5/4 {
		t.Errorf("%d operations on the disk each with 100 copies, but %d with 1600", few, many)
	}
}

// A new process evicts as few while it does not know the size of the directory.
func TestFirstEvictionOfAProcess(t *testing.T) {
	const size, n = 1000, 1500
	d := &faultyDisk{}
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: n * onDisk(size)}, d)
	objs := objects(n+20, size)
	for _, o := range objs[:n] {
		c.want(o)
	}
	c = c.restart(d)
	for i, o := range objs[n:] {
		d.count = 0
		c.want(o)
		if d.count > 1000 {
			t.Errorf("object %d: %d operations on the disk", i, d.count)
		}
		if got := c.diskBytes(); got > c.maxBytes {
			t.Fatalf("%d bytes on disk, the budget is %d", got, c.maxBytes)
		}
	}
	if s := c.Stats(); s.Evictions > 20 || s.Uncached != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// While entries cannot be read, the data files that they refer to are unknown.
func TestSweepWithoutDescriptors(t *testing.T) {
	d := &faultyDisk{err: syscall.EMFILE}
	c, o := newTest(t, Options{MaxAge: Immutable}, d), newOrigin(largeSize)
	c.want(o)
	c.clocks.Move(2*clock.LongestInvocation, 0)
	opens := 0
	d.fails = func(op string) bool { // reads of the entry
		if op == "open" {
			opens++
		}
		return op == "open" && opens == 1
	}
	c.store.TestSweep()
	d.fails = nil
	if len(c.entryFiles()) != 1 || len(c.dataFiles()) != 1 {
		t.Errorf("left: %v, %v", c.entryFiles(), c.dataFiles())
	}
}

// All objects that the disk does not accept are bounded in memory together.
func TestMemoryIsBoundedInSum(t *testing.T) {
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	c.memory.take(maxMemory - 100)
	o := newOrigin(100)
	first, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := second.bytes.(*remote); !ok || r.held != 0 {
		t.Errorf("the second is a %T", second.bytes)
	}
	for _, f := range []*File{first, second} {
		if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("wrong bytes, or %v", err)
		}
		f.Close()
	}
	if got := c.heldMemory(); got != maxMemory-100 {
		t.Errorf("%d bytes are held after Close", got-(maxMemory-100))
	}
}

// On a file system that does not report its free space, copies are kept.
func TestUnknownSpace(t *testing.T) {
	d := &faultyDisk{err: syscall.ENOSYS, fails: func(op string) bool { return op == "statfs" }}
	for _, max := range []int64{0, 1 << 20} {
		c, o := newTest(t, Options{MaxAge: Immutable, MaxBytes: max}, d), newOrigin(1000)
		c.want(o)
		if s := c.Stats(); s.Uncached != 0 {
			t.Errorf("MaxBytes %d: Stats = %+v", max, s)
		}
	}
}
