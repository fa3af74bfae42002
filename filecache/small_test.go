package filecache

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

// needsSmall skips a test if every copy is two files.
func needsSmall(t *testing.T) {
	t.Helper()
	if !disk.CanReplaceOpen {
		t.Skip("needs files that can be replaced while they are open")
	}
}

func (c *testCache) wantFiles(what string, n int) {
	c.t.Helper()
	if files := c.glob("[de]"); len(files) != n {
		c.t.Errorf("%s: %d files, want %d: %v", what, len(files), n, files)
	}
}

// Up to some size a copy is one file, however the object arrives.
func TestSmallObjectIsOneFile(t *testing.T) {
	needsSmall(t)
	for size, files := range map[int]int{0: 1, 1: 1, smallSize: 1, store.TestMaxSmall: 1, store.TestMaxSmall + 1: 2} {
		for _, unsized := range []bool{false, true} {
			c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(size)
			var obj Object = o
			if unsized {
				o.spoil = func(_ int, body []byte) io.Reader { return readsOf(body, 50_001) }
				obj = &unsizedOrigin{o, true}
			}
			for _, c := range []*testCache{c, c, c.restart(nil)} {
				if b, err := c.ReadFile(background, obj); err != nil || !bytes.Equal(b, o.body) {
					t.Fatalf("%d bytes, unsized %v: wrong bytes, or %v", size, unsized, err)
				}
			}
			if n := o.requests(); n != 1 {
				t.Errorf("%d bytes, unsized %v: %d requests", size, unsized, n)
			}
			c.wantFiles("a copy", files)
			if u := c.usage(); u.Reserved != 0 || u.Written != 0 || u.Used != c.diskBytes() {
				t.Errorf("%d bytes, unsized %v: usage %+v, %d on disk", size, unsized, u, c.diskBytes())
			}
		}
	}
}

// readsOf returns a Reader of b that returns at most n bytes at once.
func readsOf(b []byte, n int) io.Reader {
	r := bytes.NewReader(b)
	return readerFunc(func(p []byte) (int, error) { return r.Read(p[:min(n, len(p))]) })
}

// However the file is damaged, no reader gets wrong bytes or those of another object.
func TestDamageOfASmallCopy(t *testing.T) {
	needsSmall(t)
	const size = 200
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(size)
	other := newOrigin(0)
	other.name = "other.bin"
	other.put(randomBytes(size, 2))
	c.want(other)
	foreign, err := os.ReadFile(c.only(c.entryFiles()))
	if err != nil {
		t.Fatal(err)
	}
	c.Forget(other)
	c.want(o)
	path := c.only(c.entryFiles())
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, bad []byte) {
		t.Helper()
		restore := func(b []byte) {
			t.Helper()
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []*testCache{c, c.restart(nil)} {
			os.Remove(path)
			restore(good)
			c.want(o) // now it is in the index and verified
			os.Chmod(path, 0o600)
			change(t, path, func([]byte) []byte { return bad })
			for range 2 {
				c.want(o)
			}
		}
		restore(bad)
		c.restart(nil).want(o)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		try("a bit", bad)
		if i%20 == 0 {
			try("cut", good[:i])
		}
	}
	try("longer", append(bytes.Clone(good), 0))
	try("the copy of another object", foreign)
	try("the bytes of another object", append(bytes.Clone(good[:len(good)-size]), foreign[len(foreign)-size:]...))
}

// An open File of a small copy keeps returning its bytes after the copy is changed or
// removed. The copy's disk space counts until the File is closed.
func TestOpenSmallFileKeepsItsBytes(t *testing.T) {
	needsSmall(t)
	const size = 20_000
	for what, do := range map[string]func(c *testCache, o *origin){
		"replaced":            func(c *testCache, o *origin) { o.put(randomBytes(size, 7)); c.want(o) },
		"revalidated":         func(c *testCache, o *origin) { c.want(o) },
		"forgotten":           func(c *testCache, o *origin) { c.Forget(o) },
		"cleared":             func(c *testCache, _ *origin) { c.Clear() },
		"replaced by another": func(c *testCache, o *origin) { o.put(randomBytes(size, 7)); c.restart(nil).want(o); c.want(o) },
	} {
		c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(size)
		c.want(o)
		body, taken := o.body, c.diskBytes()
		f, err := c.Open(background, o)
		if err != nil {
			t.Fatal(err)
		}
		c.clocks.Move(time.Minute, time.Minute)
		do(c, o)
		if what == "replaced by another" {
			g, err := c.Open(background, o)
			if err != nil {
				t.Fatal(err)
			}
			g.Close()
		}
		if u := c.usage(); u.Open != taken {
			t.Errorf("%s: %d bytes are counted as open, want %d", what, u.Open, taken)
		}
		if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, body) {
			t.Errorf("%s: wrong bytes, or %v", what, err)
		}
		f.Close()
		if u := c.usage(); u.Open != 0 || u.Files != 0 || u.Used != c.diskBytes() {
			t.Errorf("%s: usage %+v, %d on disk", what, u, c.diskBytes())
		}
	}
}

// A revalidation of a small copy is recorded on disk for the next process, which sends
// no request.
func TestRevalidationOfASmallCopyIsKept(t *testing.T) {
	needsSmall(t)
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(smallSize)
	c.want(o)
	other := c.restart(nil)
	other.want(o)
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	c.want(o)
	o.requests()
	for _, c := range []*testCache{c, other, c.restart(nil)} {
		c.want(o)
		if s := c.Stats(); s.MissesBy.Damaged != 0 || s.Faults != 0 {
			t.Errorf("Stats = %+v", s)
		}
	}
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
	c.wantFiles("after a revalidation", 1)
	// Corrupt bytes are not copied.
	flip(t, c.only(c.entryFiles()), len(mustRead(t, c.entryFiles()[0]))-1)
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	c.restart(nil).want(o)
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Path writes the bytes to a separate file once, and all later Files read that file.
func TestPathOfASmallCopy(t *testing.T) {
	needsSmall(t)
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(smallSize)
	c.want(o)
	first, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.restart(nil).Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o) // the name now belongs to another inode
	var paths []string
	for _, f := range []*File{first, second, first} {
		p, err := f.Path()
		if err != nil {
			t.Fatal(err)
		}
		if b := mustRead(t, p); !bytes.Equal(b, o.body) {
			t.Error("wrong bytes in the file")
		}
		paths = append(paths, p)
	}
	if paths[0] != paths[1] || paths[0] != paths[2] {
		t.Errorf("the paths are %v", paths)
	}
	c.wantFiles("with a path", 2)
	c.store.TestSweep()
	c.wantFiles("after a sweep", 2)
	for _, f := range []*File{first, second} {
		if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("the File: wrong bytes, or %v", err)
		}
		f.Close()
	}
	o.requests()
	for _, c := range []*testCache{c, c.restart(nil)} {
		c.want(o)
		p, release, err := c.Path(background, o)
		if err != nil || p != paths[0] {
			t.Errorf("Path = %s, %v, want %s", p, err, paths[0])
		}
		release()
	}
	if s := c.Stats(); o.requests() != 0 || s.Faults != 0 || s.MissesBy.Damaged != 0 {
		t.Errorf("Stats = %+v", s)
	}
	o.put(randomBytes(smallSize, 5))
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	c.wantFiles("after a replacement", 1)
	if u := c.usage(); u.Open != 0 || u.Files != 0 || u.Reserved != 0 || u.Used != c.diskBytes() {
		t.Errorf("usage %+v, %d on disk", u, c.diskBytes())
	}
}

// A small copy stays valid if there is no room for the file that Path needs.
func TestPathOfASmallCopyWithoutRoom(t *testing.T) {
	needsSmall(t)
	c, o := newTest(t, Options{MaxAge: Immutable, MaxBytes: onDisk(smallSize)}, nil), newOrigin(smallSize)
	c.want(o)
	if _, _, err := c.Path(background, o); !errors.Is(err, ErrNoDisk) {
		t.Errorf("Path = %v", err)
	}
	o.requests()
	c.want(o)
	if s := c.Stats(); o.requests() != 0 || s.Faults != 0 || s.Evictions != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// A small copy stays readable if the file that Path made cannot be opened.
func TestPathOfASmallCopyThatCannotBeOpened(t *testing.T) {
	needsSmall(t)
	c, o := newTest(t, Options{MaxAge: Immutable}, &closedData{}), newOrigin(smallSize)
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Path(); !errors.Is(err, ErrNoDisk) {
		t.Errorf("Path = %v", err)
	}
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("the File: wrong bytes, or %v", err)
	}
	f.Close()
	if u := c.usage(); u.Files != 0 || u.Open != 0 || u.Reserved != 0 {
		t.Errorf("usage %+v", u)
	}
}

// A process is killed after it wrote the bytes of a small copy to a separate file. It
// leaves a data file that no entry refers to, although there is an entry.
func TestSweepFindsDataBesideASmallCopy(t *testing.T) {
	needsSmall(t)
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(smallSize)
	c.want(o)
	e, err := c.store.TestRead(entryName(mustID(o)))
	if err != nil {
		t.Fatal(err)
	}
	os.Mkdir(c.dataPath(""), 0o700)
	for _, name := range []string{e.Data, store.TestDataName(entryName(mustID(o)), smallSize, 3)} {
		if err := os.WriteFile(c.dataPath(name), o.body, 0o400); err != nil {
			t.Fatal(err)
		}
		c.store.TestSweep()
		c.wantFiles("after a sweep: "+filepath.Base(name), 1)
	}
	o.requests()
	c.restart(nil).want(o)
	if n := o.requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
}
