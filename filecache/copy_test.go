package filecache

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

// A verified copy is remembered as verified while its file does not change.
func TestVerifiedBlocksAreRememberedForTheFile(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(someSize)
	c.want(o)
	c.want(o) // verifies
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if !copyOf(f).TestVerified(i) {
			t.Fatalf("block %d is not remembered as verified", i)
		}
	}
	f.Close()
	data := c.only(c.dataFiles())
	flip(t, data, 10) // size and modification time stay; the change time does not
	c.want(o)
}

// A late discard removes nothing newer than the copy that it was called for.
func TestDiscardLeavesTheNewerCopy(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	c.want(o)
	old := c.store.Lookup(store.Key(mustID(o)))
	o.put(randomBytes(100, 2))
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	c.store.DropCorrupt(old, store.ErrDamaged)
	c.store.TestSwap(old, old)
	o.requests()
	c.want(o)
	c.restart(nil).want(o)
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests: the newer copy was removed", n)
	}
}

// A lack of descriptors does not remove a good copy.
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

// If a file without a name cannot be linked, as without /proc, the next files get a
// name when they are created.
func TestNamedFilesWhereOthersCannotBeLinked(t *testing.T) {
	d := &namedFiles{}
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

// Files that this process has under construction are reserved, and not counted twice.
func TestOwnFilesUnderConstructionAreCountedOnce(t *testing.T) {
	d := &namedFiles{}
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 2 * onDisk(someSize)}, d)
	o, other := newOrigin(someSize), newOrigin(someSize)
	other.name = "other.bin"
	o.spoil = func(_ int, b []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(b[:len(b)-1]), readerFunc(func([]byte) (int, error) {
			c.clocks.Move(store.TestRescanAfter, store.TestRescanAfter)
			c.want(other)
			return 0, io.EOF
		}), bytes.NewReader(b[len(b)-1:]))
	}
	c.want(o)
	if s := c.Stats(); s.Uncached != 0 || s.Evictions != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// namedFiles is a disk on which files without a name cannot be linked.
type namedFiles struct{ osDisk }

func (d *namedFiles) use(real disk.FS) {
	real.(*disk.Dir).TestNoTmpfile()
	d.FS = real
}
