package filecache

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// What was verified is remembered, for the file as it was then.
func TestVerifiedBlocksAreRememberedForTheFile(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(someSize)
	c.want(o)
	c.want(o) // verifies
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if !f.bytes.(*diskFile).local.checked.Has(i) {
			t.Fatalf("block %d is not remembered as verified", i)
		}
	}
	f.Close()
	data := c.only(c.dataFiles())
	flip(t, data, 10) // the size and the time of modification stay; the time of change does not
	c.want(o)
}

// Not before the racy window is over.
func TestRacyWindow(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(100)
	c.want(o)
	for _, tt := range []struct {
		after time.Duration
		holds bool
	}{{0, false}, {19 * time.Millisecond, false}, {20 * time.Millisecond, true}} {
		st := stamp{ctime: 1000}
		l := &local{entry: &entry{}, stamp: st, checked: blocks.NewSet(1, 1000+int64(tt.after))}
		if l.holds(st) != tt.holds {
			t.Errorf("verified %v after the change: holds %v", tt.after, !tt.holds)
		}
	}
}

// discard, late: it removes nothing newer than what it was called for.
func TestDiscardLeavesTheNewerCopy(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	c.want(o)
	old := c.lookup(mustID(o))
	o.put(randomBytes(100, 2))
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	c.discard(old, errDamaged)
	c.replace(old, old)
	o.requests()
	c.want(o)
	c.restart(nil).want(o)
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests: the newer copy was removed", n)
	}
}

// A good copy is not thrown away for want of a descriptor.
func TestTransientFaultKeepsTheCopy(t *testing.T) {
	d := &faultyDisk{err: syscall.EMFILE}
	c, o := newTest(t, Options{MaxAge: time.Hour}, d), newOrigin(100)
	c.want(o)
	once := true
	d.fails = func(op string) bool { hit := once && op == "open"; once = once && !hit; return hit }
	o.requests()
	c.want(o)
	d.fails = nil
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests: a good copy was removed for want of a descriptor", n)
	}
}

// Where unnamed files are not supported: no temporary file is left.
func TestTempFile(t *testing.T) {
	dir := t.TempDir()
	for _, end := range []func(*buildFile){
		func(f *buildFile) {},
		func(f *buildFile) { f.Publish(dir + "/x") },
		func(f *buildFile) { f.Replace(dir + "/x") },
	} {
		f, err := createTemp(dir)
		if err != nil {
			t.Fatal(err)
		}
		end(f)
		f.Close()
	}
	if l, _ := os.ReadDir(dir); len(l) != 1 {
		t.Errorf("left: %v", l)
	}
	f, _ := createTemp(dir)
	defer f.Close()
	if err := f.Publish(dir + "/x"); !errors.Is(err, os.ErrExist) {
		t.Errorf("Publish over a file = %v", err)
	}
}

// Where a file without a name cannot be given one, as without /proc, the next ones
// have one from the start.
func TestNamedFilesWhereOthersCannotBeLinked(t *testing.T) {
	d := newDisk()
	d.named.Store(true)
	c, o := newTest(t, Options{MaxAge: time.Hour}, d), newOrigin(someSize)
	names := []string{}
	o.spoil = func(_ int, b []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(b), readerFunc(func([]byte) (int, error) {
			names = c.dataFiles()
			return 0, io.EOF
		}))
	}
	c.want(o)
	c.want(o)
	if s := c.Stats(); len(names) != 1 || s.Uncached != 0 || s.Faults != 0 || s.Misses != 1 {
		t.Errorf("under construction: %v, %+v", names, s)
	}
	c.only(c.dataFiles())
	c.only(c.entryFiles())
}

func TestRelativeDir(t *testing.T) {
	t.Chdir(t.TempDir())
	c, o := newTest(t, Options{Dir: "files", MaxAge: time.Hour}, nil), newOrigin(100)
	c.want(o)
	t.Chdir(t.TempDir())
	c.want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestWhatCannotBeLinkedOnThisSystem(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if canLink(f, syscall.EPERM) {
		t.Error("it is forbidden, and tried again and again")
	}
	if runtime.GOOS == "linux" && !canLink(f, syscall.ENOSPC) {
		t.Error("a full disk ends unnamed files for ever")
	}
}

// What this process has under construction is reserved, and not counted again.
func TestOwnFilesUnderConstructionAreCountedOnce(t *testing.T) {
	d := newDisk()
	d.named.Store(true)
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 2 * onDisk(someSize)}, d)
	o, other := newOrigin(someSize), newOrigin(someSize)
	other.name = "other.bin"
	o.spoil = func(_ int, b []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(b[:len(b)-1]), readerFunc(func([]byte) (int, error) {
			c.clocks.Move(relearn, relearn)
			c.want(other)
			return 0, io.EOF
		}), bytes.NewReader(b[len(b)-1:]))
	}
	c.want(o)
	if s := c.Stats(); s.Uncached != 0 || s.Evictions != 0 {
		t.Errorf("Stats = %+v", s)
	}
}
