package filecache

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/disk"
	"github.com/warmcache/warmcache/internal/flight"
)

// doubler derives an object with its source's bytes twice, and counts its calls.
type doubler struct {
	Object
	made atomic.Int64
}

func newDoubler(o Object) *doubler {
	d := &doubler{}
	d.Object = Derived(o, "double", d.double)
	return d
}

func (d *doubler) double(ctx context.Context, src *File, dst io.Writer) error {
	d.made.Add(1)
	b, err := io.ReadAll(src)
	for range 2 {
		if err == nil {
			_, err = dst.Write(b)
		}
	}
	return err
}

func twice(b []byte) []byte { return bytes.Repeat(b, 2) }

func (c *testCache) wantOf(obj Object, want []byte) {
	c.t.Helper()
	if b, err := c.ReadFile(background, obj); err != nil || !bytes.Equal(b, want) {
		c.t.Errorf("ReadFile = %.20q, %v, want %.20q", b, err, want)
	}
}

func (d *doubler) wantMade(t *testing.T, want int64) {
	t.Helper()
	if n := d.made.Load(); n != want {
		t.Errorf("made %d times, want %d", n, want)
	}
}

func TestDerivedIsMadeOncePerVersion(t *testing.T) {
	for _, size := range []int{0, 10, someSize} {
		c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(size)
		d := newDoubler(o)
		c.wantOf(d, twice(o.body))
		c.wantOf(d, twice(o.body))
		c.restart(nil).wantOf(d, twice(o.body))
		d.wantMade(t, 1)
		if n := o.requests(); n != 1 {
			t.Errorf("%d requests, want one", n)
		}
		c.clocks.Move(time.Minute, time.Minute)
		c.wantOf(d, twice(o.body))
		d.wantMade(t, 1)
		if len(o.asked) != 1 || o.asked[0].IfNoneMatch != o.etag {
			t.Errorf("requests were %+v, want one conditional request", o.asked)
		}
		o.put(randomBytes(size+1, 2))
		c.clocks.Move(time.Minute, time.Minute)
		c.wantOf(d, twice(o.body))
		d.wantMade(t, 2)
		other := Derived(o, "other", d.double)
		c.wantOf(other, twice(o.body))
		d.wantMade(t, 3)
	}
}

// A derived object is as old as its source, however late it was made.
func TestDerivedIsAsOldAsItsSource(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
	d := newDoubler(o)
	c.want(o)
	c.clocks.Move(time.Minute-1, time.Minute-1)
	c.wantOf(d, twice(o.body))
	next := c.restart(nil)
	o.put(randomBytes(11, 2))
	c.clocks.Move(1, 1)
	next.wantOf(d, twice(o.body))
	c.wantOf(d, twice(o.body))
}

func TestDerivedWithoutMaxAge(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(10)
	d := newDoubler(o)
	for i := range 2 {
		o.put(randomBytes(10+i, 2))
		c.wantOf(d, twice(o.body))
		c.wantOf(d, twice(o.body))
	}
	d.wantMade(t, 2)
	if n := o.requests(); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
}

func TestDerivedFromAPinnedObjectIsNeverAskedFor(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(10)
	o.version = "1"
	for _, obj := range []Object{o, WithSHA256(o, sumOf(o.body))} {
		d := newDoubler(obj)
		c.wantOf(d, twice(o.body))
		o.err = errOrigin
		c.clocks.Move(time.Hour, time.Hour)
		c.wantOf(d, twice(o.body))
		d.wantMade(t, 1)
		o.err = nil
	}
}

func TestDerivedWithSHA256(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
	d := newDoubler(o)
	c.wantOf(WithSHA256(d, sumOf(twice(o.body))), twice(o.body))
	if _, err := c.ReadFile(background, WithSHA256(d, sumOf(o.body))); !errors.Is(err, ErrChecksum) {
		t.Errorf("another SHA-256: %v", err)
	}
}

func TestDerivedOfDerived(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
	d := newDoubler(newDoubler(o))
	c.wantOf(d, twice(twice(o.body)))
	if err := c.Forget(o); err != nil {
		t.Fatal(err)
	}
	c.wantOf(d, twice(twice(o.body)))
	d.wantMade(t, 2)
}

func TestEveryUseOfDerived(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
	d := newDoubler(o)
	if err := c.Prefetch(background, d); err != nil {
		t.Error(err)
	}
	path, release, err := c.Path(background, d)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, twice(o.body)) {
		t.Errorf("Path: %q, %v", b, err)
	}
	wantValue(t, NewValue(c.Cache, d, readAll), string(twice(o.body)))
	if b, err := fs.ReadFile(c.FS(background, oneObject{d}), "x"); err != nil || !bytes.Equal(b, twice(o.body)) {
		t.Errorf("FS: %q, %v", b, err)
	}
	f, err := c.Open(background, d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fi, _ := f.Stat(); !fi.ModTime().Equal(o.modified) || fi.Size() != 20 {
		t.Errorf("Stat = %v, %d", fi.ModTime(), fi.Size())
	}
	d.wantMade(t, 1)
}

// oneObject is a Bucket in which every name is the same object.
type oneObject struct{ obj Object }

func (b oneObject) Object(string) Object { return b.obj }

// After a Forget of the source or the result, neither is served from bytes fetched
// before, even if another process made it.
func TestForgetOfDerivedAndOfItsSource(t *testing.T) {
	for _, which := range []string{"derived", "source", "all"} {
		for _, restarted := range []bool{false, true} {
			c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(10)
			d := newDoubler(o)
			c.wantOf(d, twice(o.body))
			v := NewValue(c.Cache, d, readAll)
			wantValue(t, v, string(twice(o.body)))
			c.clocks.Move(time.Second, time.Second)
			if restarted {
				c = c.restart(nil)
			}
			switch which {
			case "derived":
				c.Forget(d)
			case "source":
				c.Forget(o)
			default:
				c.Clear()
			}
			c.clocks.Move(time.Second, time.Second)
			if !restarted {
				wantValue(t, v, string(twice(o.body)))
				if n := v.Stats().Parses; n != 2 {
					t.Errorf("%s: %d parses, want 2 though the version is the same", which, n)
				}
			}
			c.wantOf(d, twice(o.body))
			d.wantMade(t, 2)
			o.put(randomBytes(11, 2))
			if which == "source" {
				c.Forget(o)
			} else {
				c.Forget(d)
			}
			c.wantOf(d, twice(o.body))
			if t.Failed() {
				t.Fatalf("%s, restarted: %v", which, restarted)
			}
		}
	}
}

func TestFailedMakeKeepsNothing(t *testing.T) {
	errMake := errors.New("not that format")
	for name, fails := range map[string]func() error{
		"error":  func() error { return errMake },
		"panic":  func() error { panic(errMake) },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
		var broken atomic.Bool
		broken.Store(true)
		d := Derived(o, "x", func(ctx context.Context, src *File, dst io.Writer) error {
			dst.Write([]byte("some"))
			if broken.Load() {
				return fails()
			}
			return nil
		})
		for range 2 {
			func() {
				defer func() {
					r := recover()
					if p, ok := r.(*flight.PanicError); ok != (name == "panic") || ok && p.Value != errMake {
						t.Errorf("%s: panic %v", name, r)
					}
				}()
				_, err := c.Open(background, d)
				if err == nil || name == "error" && !errors.Is(err, errMake) {
					t.Errorf("%s: Open = %v", name, err)
				}
			}()
		}
		if n := len(c.entryFiles()); n != 1 {
			t.Errorf("%s: %d copies, want that of the source", name, n)
		}
		if u := c.usage(); u.Files != 0 || u.Reserved != 0 {
			t.Errorf("%s: %+v", name, u)
		}
		broken.Store(false)
		c.wantOf(d, []byte("some"))
	}
}

func TestCanceledMake(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
	began, ended := make(chan struct{}), make(chan struct{})
	d := Derived(o, "x", func(ctx context.Context, src *File, dst io.Writer) error {
		close(began)
		<-ctx.Done()
		close(ended)
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(background)
	go func() { <-began; cancel() }()
	if _, err := c.Open(ctx, d); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v", err)
	}
	<-ended
	waitFor(t, func() bool { return c.usage().Files == 0 })
}

func TestDerivedFromWhatIsGone(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute, StaleIfError: time.Minute}, nil), newOrigin(10)
	d := newDoubler(o)
	c.wantOf(d, twice(o.body))
	c.clocks.Move(time.Minute, time.Minute)
	o.err = errOrigin
	c.wantOf(d, twice(o.body)) // served stale
	o.err = fs.ErrNotExist
	if _, err := c.Open(background, d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open = %v", err)
	}
	if n := len(c.entryFiles()); n != 0 {
		t.Errorf("%d copies are left", n)
	}
	o.err = nil
	c.wantOf(d, twice(o.body))
}

func TestDerivedWithoutADisk(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, &faultyDisk{from: 1}), newOrigin(someSize)
	d := newDoubler(o)
	c.wantOf(d, twice(o.body))
	if _, _, err := c.Path(background, d); !errors.Is(err, ErrNoDisk) {
		t.Errorf("Path = %v", err)
	}
}

// A corrupt block is made again, for an open File too.
func TestDamagedDerived(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(someSize)
	d := newDoubler(o)
	c.wantOf(d, twice(o.body))
	c = c.restart(nil)
	f, err := c.Open(background, d)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := int64(blocks.MinSize + 5)
	path := c.root + "/d/" + copyOf(f).TestData()
	os.Chmod(path, 0o600)
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.WriteAt([]byte{^twice(o.body)[at]}, at)
	w.Close()
	b := make([]byte, 100)
	if _, err := f.ReadAt(b, at-50); err != nil || !bytes.Equal(b, twice(o.body)[at-50:at+50]) {
		t.Errorf("ReadAt of a damaged block: %v", err)
	}
	d.wantMade(t, 2)
	c.wantOf(d, twice(o.body))
	d.wantMade(t, 3)
}

// One of several processes makes the object, and the others wait for it.
func TestDerivedIsMadeByOneProcess(t *testing.T) {
	if !disk.CanLock || runtime.GOOS != "linux" {
		t.Skip("there are no download locks here")
	}
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
	c.want(o)
	began, goOn := make(chan struct{}), make(chan struct{})
	var made atomic.Int64
	d := Derived(o, "slow", func(ctx context.Context, src *File, dst io.Writer) error {
		if made.Add(1) == 1 {
			close(began)
			<-goOn
		}
		_, err := io.Copy(dst, src)
		return err
	})
	first := make(chan struct{})
	go func() {
		c.wantOf(d, o.body)
		close(first)
	}()
	<-began
	other := c.restart(nil)
	other.lockWait = func(int64, time.Duration) time.Duration {
		close(goOn) // the first continues only once the other waits
		return time.Hour
	}
	other.wantOf(d, o.body)
	<-first
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times", n)
	}
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestGunzip(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(0)
	plain := randomBytes(someSize, 1)
	packed := gzipped(t, plain)
	o.put(packed)
	c.wantOf(Gunzip(o, 0), plain)
	c.wantOf(Gunzip(o, someSize), plain)
	if _, err := c.Open(background, Gunzip(o, someSize-1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a byte too much: %v", err)
	}
	if _, err := c.Open(background, Gunzip(o, -1)); err == nil {
		t.Error("no error for a negative limit")
	}
	for name, bad := range map[string][]byte{
		"cut":        packed[:len(packed)-1],
		"not packed": plain,
		"damaged":    append(bytes.Clone(packed[:len(packed)-6]), 0, 0, 0, 0, 0, 0),
	} {
		o.put(bad)
		if _, err := c.Open(background, Gunzip(o, 0)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A decompression bomb costs no more than the limit.
func TestBomb(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(0)
	o.put(gzipped(t, make([]byte, 64<<20)))
	if _, err := c.Open(background, Gunzip(o, 1<<20)); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("Open = %v", err)
	}
	if n := c.Stats().OriginBytes; n > 2<<20 {
		t.Errorf("%d bytes were unpacked", n)
	}
	if n := len(c.entryFiles()); n != 1 {
		t.Errorf("%d copies, want that of the source", n)
	}
}

func TestMisusedDerived(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(10)
	ok := func(ctx context.Context, src *File, dst io.Writer) error { return nil }
	for name, obj := range map[string]Object{
		"nil Object":   Derived(nil, "x", ok),
		"nil make":     Derived(o, "x", nil),
		"no name":      Derived(o, "", ok),
		"colon":        Derived(o, "x:y", ok),
		"own name":     Derived(o, "filecache.gunzip-5", ok),
		"invalid":      Derived(WithSHA256(o, "x"), "x", ok),
		"longer names": Derived(o, strings.Repeat("x", 5000), ok),
	} {
		if _, err := c.Open(background, obj); err == nil || !strings.HasPrefix(err.Error(), "filecache.Open: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Derived(o, "x", ok).Fetch(background, Request{}); err == nil {
		t.Error("Fetch without a Cache: no error")
	}
}

func TestSourceOfAnID(t *testing.T) {
	o := newOrigin(10)
	sum := sha256.Sum256(nil)
	for _, version := range []string{"", "7", "x" + derivedSuffix, "sha256:" + hex.EncodeToString(sum[:])} {
		o.version = version
		id, _ := o.ID()
		for _, src := range []Object{o, newDoubler(o)} {
			want, _ := src.ID()
			for _, obj := range []Object{newDoubler(src), WithSHA256(newDoubler(src), hex.EncodeToString(sum[:]))} {
				d, err := obj.ID()
				if got, ok := d.source(); !ok || got != want || err != nil {
					t.Errorf("source of %v is %v, want %v (%v)", d, got, want, err)
				}
			}
		}
		if _, ok := id.source(); ok {
			t.Errorf("%v has a source", id)
		}
	}
}

// Without any room, the object is made while it is read, once for each read from the
// start.
func TestDerivedWithoutAnyRoom(t *testing.T) {
	c, o := newTest(t, Options{}, &faultyDisk{from: 1}), newOrigin(300)
	c.memory.take(maxMemory - 1)
	d := newDoubler(o)
	f, err := c.Open(background, d)
	if err != nil {
		t.Fatal(err)
	}
	counted := d.made.Load()
	want := twice(o.body)
	if err := iotest.TestReader(f, want); err != nil {
		t.Error(err)
	}
	made := d.made.Load()
	f.Seek(0, io.SeekStart)
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, want) {
		t.Errorf("ReadAll: %d bytes, %v", len(b), err)
	}
	if n := d.made.Load(); n > made+1 {
		t.Errorf("made %d times to be read once in sequence", n-made)
	}
	if counted > 3 {
		t.Errorf("made %d times before it was read", counted)
	}
	o.put(randomBytes(300, 2))
	f.Seek(0, io.SeekStart)
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, ErrChanged) {
		t.Errorf("another version: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
