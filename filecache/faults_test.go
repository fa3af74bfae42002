package filecache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/disk"
)

// faultyDisk is the real disk with failures. It counts operations and fails some of
// them.
type faultyDisk struct {
	osDisk
	from, to int               // fails operations from..to, counted from 1; to 0: all after
	fails    func(string) bool // or those for which it returns true
	err      error             // ENOSPC unless set

	mu    sync.Mutex
	count int
	last  string
}

func (d *faultyDisk) op(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	hit := d.from > 0 && d.count >= d.from && (d.to == 0 || d.count <= d.to) || d.fails != nil && d.fails(name)
	if !hit {
		return nil
	}
	d.last = name
	err := d.err
	if err == nil {
		err = syscall.ENOSPC
	}
	return &fs.PathError{Op: name, Path: "injected", Err: err}
}

func (d *faultyDisk) Check() error {
	if err := d.op("check"); err != nil {
		return err
	}
	return d.osDisk.Check()
}

func (d *faultyDisk) Make() error {
	if err := d.op("make"); err != nil {
		return err
	}
	return d.osDisk.Make()
}

func (d *faultyDisk) OpenDir(p string) (disk.Subdir, error) {
	if err := d.op("opendir"); err != nil {
		return nil, err
	}
	return d.osDisk.OpenDir(p)
}

func (d *faultyDisk) RemoveAll(p string) error {
	if err := d.op("removeall"); err != nil {
		return err
	}
	return d.osDisk.RemoveAll(p)
}

func (d *faultyDisk) Path(p string) (string, error) {
	if err := d.op("path"); err != nil {
		return "", err
	}
	return d.osDisk.Path(p)
}

func (d *faultyDisk) Mkdir(p string) error {
	if err := d.op("mkdir"); err != nil {
		return err
	}
	return d.osDisk.Mkdir(p)
}

func (d *faultyDisk) Lstat(p string) (disk.Info, error) {
	if err := d.op("lstat"); err != nil {
		return disk.Info{}, err
	}
	return d.osDisk.Lstat(p)
}

func (d *faultyDisk) Open(p string) (disk.File, error) {
	if err := d.op("open"); err != nil {
		return nil, err
	}
	f, err := d.osDisk.Open(p)
	if err != nil {
		return nil, err
	}
	return faultyFile{f, d}, nil
}

func (d *faultyDisk) Create(dir string, size int64) (disk.NewFile, error) {
	if err := d.op("create"); err != nil {
		return nil, err
	}
	f, err := d.osDisk.Create(dir, size)
	if err != nil {
		return nil, err
	}
	return faultyNewFile{f, d}, nil
}

func (d *faultyDisk) Remove(p string) error {
	if err := d.op("remove"); err != nil {
		return err
	}
	return d.osDisk.Remove(p)
}

func (d *faultyDisk) ReadDir(p string) ([]string, error) {
	if err := d.op("readdir"); err != nil {
		return nil, err
	}
	return d.osDisk.ReadDir(p)
}

func (d *faultyDisk) List(p string) (disk.Listing, error) {
	if err := d.op("list"); err != nil {
		return nil, err
	}
	l, err := d.osDisk.List(p)
	if err != nil {
		return nil, err
	}
	return faultyListing{l, d}, nil
}

type faultyListing struct {
	disk.Listing
	d *faultyDisk
}

func (l faultyListing) Next() ([]string, error) {
	if err := l.d.op("readdir"); err != nil {
		return nil, err
	}
	return l.Listing.Next()
}

func (d *faultyDisk) Touch(p string, t time.Time) error {
	if err := d.op("touch"); err != nil {
		return err
	}
	return d.osDisk.Touch(p, t)
}

func (d *faultyDisk) Space() (disk.Space, error) {
	if err := d.op("statfs"); err != nil {
		return disk.Space{}, err
	}
	return d.osDisk.Space()
}

func (d *faultyDisk) Locks(p string) (disk.Locks, error) {
	if err := d.op("locks"); err != nil {
		return nil, err
	}
	return d.osDisk.Locks(p)
}

type faultyFile struct {
	disk.File
	d *faultyDisk
}

func (f faultyFile) Stat() (disk.Info, error) {
	if err := f.d.op("fstat"); err != nil {
		return disk.Info{}, err
	}
	return f.File.Stat()
}

func (f faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.d.op("read"); err != nil {
		n, _ := f.File.ReadAt(p[:len(p)/2], off)
		return n, err
	}
	return f.File.ReadAt(p, off)
}

func (f faultyFile) Lock(exclusive bool) error {
	if err := f.d.op("flock"); err != nil {
		return err
	}
	return f.File.Lock(exclusive)
}

type faultyNewFile struct {
	disk.NewFile
	d *faultyDisk
}

func (f faultyNewFile) Write(p []byte) (int, error) {
	if err := f.d.op("write"); err != nil {
		n, _ := f.NewFile.Write(p[:len(p)/2]) // as a full disk does
		return n, err
	}
	return f.NewFile.Write(p)
}

func (f faultyNewFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.d.op("write"); err != nil {
		n, _ := f.NewFile.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return f.NewFile.WriteAt(p, off)
}

func (f faultyNewFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.d.op("readback"); err != nil {
		return 0, err
	}
	return f.NewFile.ReadAt(p, off)
}

func (f faultyNewFile) Publish(p string) error {
	if err := f.d.op("link"); err != nil {
		return err
	}
	return f.NewFile.Publish(p)
}

func (f faultyNewFile) Replace(p string) error {
	if err := f.d.op("rename"); err != nil {
		return err
	}
	return f.NewFile.Replace(p)
}

// life runs through the operations of a cache: miss, hit, revalidation, replacement,
// eviction, and all again in a restarted process. Each step must return the origin's
// bytes.
func life(t *testing.T, dir string, d fakeDisk) {
	const size = 5000
	o, other := newOrigin(size), newOrigin(size)
	other.name = "other.bin"
	c := newTest(t, Options{Dir: dir, MaxAge: time.Minute, MaxBytes: 3 * onDisk(size) / 2}, d)
	for range 2 {
		c.want(o)
		c.want(o)
		c.clocks.Move(time.Minute, time.Minute)
		c.want(o)
		o.put(randomBytes(size, uint64(c.clocks.Now().Mono)))
		c.clocks.Move(time.Minute, time.Minute)
		f, err := c.Open(background, o)
		if err != nil {
			t.Errorf("Open: %v", err)
			return
		}
		if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("ReadAll: wrong bytes or %v", err)
		}
		f.Close()
		c.want(other) // evicts o
		c.want(o)
		c = c.restart(d)
	}
}

// Each operation of Path on a small object fails: Path first writes its bytes to a
// file.
func TestEveryFaultOfTheDiskUnderPath(t *testing.T) {
	all := 1
	for n := 0; n <= all; n++ {
		d := &faultyDisk{err: syscall.EIO}
		c, o := newTest(t, Options{MaxAge: time.Minute}, d), newOrigin(1000)
		c.want(o)
		d.operations()
		d.from, d.to = n, n
		if _, release, err := c.Path(background, o); err == nil {
			release()
		} else if !errors.Is(err, ErrNoDisk) {
			t.Errorf("operation %d (%s): %v", n, d.last, err)
		}
		all = max(all, d.operations())
		c.want(o)
	}
}

// Each operation on the disk fails once, and then with all that follow: the caller
// never notices.
func TestEveryFaultOfTheDisk(t *testing.T) {
	all := &faultyDisk{}
	life(t, t.TempDir(), all)
	t.Logf("%d operations", all.count)
	for _, errno := range []error{syscall.ENOSPC, syscall.EIO, fs.ErrNotExist} {
		for _, forever := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, forever %v", errno, forever), func(t *testing.T) {
				t.Parallel()
				for n := 1; n <= all.count; n++ {
					d := &faultyDisk{from: n, to: n, err: errno}
					if forever {
						d.to = 0
					}
					life(t, t.TempDir(), d)
					if t.Failed() {
						t.Fatalf("operation %d (%s)", n, d.last)
					}
				}
			})
		}
	}
}

func TestFaultsAreCounted(t *testing.T) {
	d := &faultyDisk{from: 1, err: syscall.EROFS}
	c, o := newTest(t, Options{MaxAge: time.Minute}, d), newOrigin(someSize)
	c.want(o)
	c.want(o)
	if s := c.Stats(); s.Faults == 0 || s.Uncached != 2 || s.Misses != 2 {
		t.Errorf("Stats = %+v", s)
	}
	if _, _, err := c.Path(background, o); err == nil {
		t.Error("Path without a disk")
	}
}

// An object too large for memory is read from the origin by ranges.
func TestLargeObjectWithoutADisk(t *testing.T) {
	o := newOrigin(maxInMemory + 12345)
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("wrong bytes, or %v", err)
	}
	p := make([]byte, 100)
	if _, err := f.ReadAt(p, 20<<20-50); err != nil || !bytes.Equal(p, o.body[20<<20-50:][:100]) {
		t.Errorf("ReadAt: wrong bytes, or %v", err)
	}
	o.put(randomBytes(len(o.body), 8)) // versions are never mixed
	if _, err := f.ReadAt(p, 0); err == nil {
		t.Error("bytes of another version")
	}
}

// The disk fills up in the middle of the download, which continues in memory.
func TestDiskFullInTheMiddle(t *testing.T) {
	for name, fails := range map[string]func(string) bool{
		"write":              func(op string) bool { return op == "write" },
		"write and readback": func(op string) bool { return op == "write" || op == "readback" },
		"link":               func(op string) bool { return op == "link" },
		"link of the entry":  func(op string) bool { return op == "link" },
	} {
		t.Run(name, func(t *testing.T) {
			nth := map[string]int{"write": 3}
			if name == "link of the entry" {
				nth["link"] = 2
			}
			d := &faultyDisk{fails: func(op string) bool {
				nth[op]--
				return nth[op] <= 0 && fails(op) && (op != "write" || nth[op] == 0)
			}}
			c, o := newTest(t, Options{}, d), newOrigin(someSize)
			c.want(o)
			if s := c.Stats(); s.Faults == 0 || s.Uncached != 1 {
				t.Errorf("Stats = %+v", s)
			}
			if n := len(c.dataFiles()) + len(c.entryFiles()); n != 0 {
				t.Errorf("%d files left", n)
			}
			if name != "write and readback" {
				if n := o.requests(); n != 1 {
					t.Errorf("%d requests: the download did not go on", n)
				}
			}
			if c.usage().Reserved != 0 {
				t.Errorf("%d bytes are still reserved", c.usage().Reserved)
			}
		})
	}
}

// A disk that fails in the middle of a download loses the bytes received so far. An
// object that cannot be read by ranges is returned all the same.
func TestDiskThatLosesADownload(t *testing.T) {
	for _, dies := range []struct {
		op  string
		nth int
	}{{"write", 2}, {"link", 1}} {
		t.Run(dies.op, func(t *testing.T) {
			n := 0
			fails := func(op string) bool {
				if op == dies.op {
					n++
				}
				return n >= dies.nth
			}
			weak, pinned := newOrigin(someSize), newOrigin(someSize)
			weak.etag = `W/"1"`
			for _, obj := range []Object{weak, WithSHA256(pinned, sumOf(pinned.body))} {
				n = 0
				c := newTest(t, Options{}, &faultyDisk{fails: fails, err: syscall.EIO})
				if b, err := c.ReadFile(background, obj); err != nil || !bytes.Equal(b, pinned.body) {
					t.Errorf("wrong bytes, or %v", err)
				}
				if s := c.Stats(); s.Misses != 1 || s.Uncached != 1 || s.Requests != 2 || n < dies.nth {
					t.Errorf("Stats = %+v", s)
				}
				if c.heldMemory() != 0 || c.usage().Reserved != 0 {
					t.Errorf("%d bytes of memory are held, %d of the disk are reserved", c.heldMemory(), c.usage().Reserved)
				}
			}
		})
	}
}

// A file system that reports every new name as existing is a fault like others.
func TestEveryNameExists(t *testing.T) {
	d := &faultyDisk{fails: func(op string) bool { return op == "link" }, err: syscall.EEXIST}
	c, o := newTest(t, Options{}, d), newOrigin(someSize)
	c.want(o)
	if s := c.Stats(); s.Uncached != 1 || s.FaultsBy["EEXIST"] != 1 {
		t.Errorf("Stats = %+v", s)
	}
}
