package filecache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
)

func sumOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func (c *testCache) wantHashed(o *origin) {
	c.t.Helper()
	got, err := c.ReadFile(background, WithSHA256(o, sumOf(o.body)))
	if err != nil || !bytes.Equal(got, o.body) {
		c.t.Errorf("ReadFile: wrong bytes, or %v", err)
	}
}

// An object with a SHA-256 is fetched once, and never revalidated.
func TestWithSHA256(t *testing.T) {
	for _, size := range []int{0, 1000, someSize} {
		c, o := newTest(t, Options{}, nil), newOrigin(size)
		c.wantHashed(o)
		c.wantHashed(o)
		c.clocks.Move(1000*time.Hour, 1000*time.Hour)
		c.restart(nil).wantHashed(o)
		if n := o.requests(); n != 1 {
			t.Errorf("%d bytes: %d requests", size, n)
		}
		b, err := c.ReadFile(background, WithSHA256(o, strings.ToUpper(sumOf(o.body))))
		if err != nil || !bytes.Equal(b, o.body) || o.requests() != 0 {
			t.Errorf("in upper case: %v", err)
		}
	}
}

// Bytes from the origin that have another sum are never served or kept.
func TestOtherSHA256AtTheOrigin(t *testing.T) {
	for _, d := range []fakeDisk{nil, &faultyDisk{from: 1}} {
		c, o := newTest(t, Options{MaxAge: Immutable}, d), newOrigin(someSize)
		c.want(o) // another copy, without a sum
		o.requests()
		want := sumOf([]byte("something else"))
		obj := WithSHA256(o, want)
		for range 2 {
			_, err := c.Open(background, obj)
			if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), sumOf(o.body)) {
				t.Errorf("Open = %v", err)
			}
			if n := o.requests(); n != 2 {
				t.Errorf("%d requests, want two attempts", n)
			}
		}
		if _, _, err := c.Path(background, obj); !errors.Is(err, ErrChecksum) {
			t.Errorf("Path = %v", err)
		}
		c.want(o)
		c.wantHashed(o)
	}
}

// forge replaces the bytes of the only copy and makes an entry that matches them, as a
// program of the same user could.
func (c *testCache) forge(obj Object, b []byte) {
	c.t.Helper()
	id, err := obj.ID()
	if err != nil {
		c.t.Fatal(err)
	}
	e, err := c.store.TestRead(entryName(id))
	if err != nil {
		c.t.Fatal(err)
	}
	s := blocks.NewDigest(int64(len(b)), nil)
	s.Write(b)
	path := c.dataPath(e.Data)
	os.Chmod(path, 0o600)
	change(c.t, path, func([]byte) []byte { return b })
	m := store.Meta{Key: e.Key, ETag: e.ETag, Size: int64(len(b)), Modified: store.Unknown}
	if _, err := c.store.TestForge(m, e.Data, s, c.clocks.Now(), true); err != nil {
		c.t.Fatal(err)
	}
}

// A copy with different bytes is replaced, even if all its checksums match.
func TestForgedCopy(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(someSize)
	c.wantHashed(o)
	obj := WithSHA256(o, sumOf(o.body))
	for _, forged := range [][]byte{randomBytes(someSize, 9), randomBytes(500, 9), {}} {
		c.forge(obj, forged)
		o.requests()
		n := c.restart(nil)
		n.wantHashed(o)
		if r := o.requests(); r != 1 {
			t.Errorf("%d requests", r)
		}
		if s := n.Stats(); s.FaultsBy["damaged"] == 0 || s.MissesBy.Damaged != 1 {
			t.Errorf("Stats = %+v", s)
		}
		n.wantHashed(o)
		if r := o.requests(); r != 0 {
			t.Errorf("%d requests for the new copy", r)
		}
	}
}

// The sum is verified again only when the file changes, even if its modification time
// is the same.
func TestSHA256IsVerifiedOncePerFile(t *testing.T) {
	reads := 0
	d := &faultyDisk{fails: func(op string) bool {
		if op == "read" {
			reads++
		}
		return false
	}}
	c, o := newTest(t, Options{}, d), newOrigin(someSize)
	open := func() int {
		reads = 0
		f, err := c.Open(background, WithSHA256(o, sumOf(o.body)))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n := reads
		if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("wrong bytes, or %v", err)
		}
		return n
	}
	if n := open(); n < 4 {
		t.Errorf("%d reads, want all blocks", n)
	}
	if n := open(); n != 0 {
		t.Errorf("%d reads to open a file that is verified", n)
	}
	path := c.only(c.dataFiles())
	flip(t, path, someSize-1)
	o.requests()
	open()
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests: tampering was not seen", n)
	}
}

// A block that becomes corrupt after it was verified is repaired from a new copy that
// is verified as a whole, and not from a range with the same CRC.
func TestRepairWithSHA256(t *testing.T) {
	bad := false
	d := &faultyDisk{fails: func(op string) bool { return bad && op == "read" }}
	c, o := newTest(t, Options{}, d), newOrigin(someSize)
	f, err := c.Open(background, WithSHA256(o, sumOf(o.body)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bad = true
	o.requests()
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("wrong bytes, or %v", err)
	}
	for _, r := range o.asked {
		if r.Offset != 0 || r.Length != 0 {
			t.Errorf("a range was requested: %+v", r)
		}
	}
}

// An object that cannot be verified is not served.
func TestSHA256WithoutRoom(t *testing.T) {
	c, o := newTest(t, Options{}, &faultyDisk{from: 1}), newOrigin(maxInMemory+1)
	if _, err := c.Open(background, WithSHA256(o, sumOf(o.body))); !errors.Is(err, errUnverifiable) {
		t.Errorf("Open = %v", err)
	}
	c.want(o) // by ranges
}

func TestWithSHA256OfNothing(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(1)
	for _, obj := range []Object{WithSHA256(o, ""), WithSHA256(o, "abcd"), WithSHA256(o, strings.Repeat("x", 64)), WithSHA256(nil, sumOf(nil))} {
		if _, err := c.Open(background, obj); err == nil {
			t.Errorf("Open(%v) succeeded", obj)
		}
	}
	if o.requests() != 0 {
		t.Error("a request was sent to the origin")
	}
}

// An ID with a version keeps the version, and its sum can be read back.
func TestSHA256InTheID(t *testing.T) {
	sum := sumOf([]byte("x"))
	o := newOrigin(1)
	for _, version := range []string{"", "v7"} {
		o.version = version
		id, err := WithSHA256(o, sum).ID()
		if err != nil || fmt.Sprintf("%x", id.sha256()) != sum || !strings.HasPrefix(id.Version, version) {
			t.Errorf("ID = %v, %v", id, err)
		}
	}
	for _, v := range []string{"", "v7", sum, "sha256:" + sum[1:], "sha256:" + strings.ToUpper(sum), "sha256:" + sum + "0", "sha256:" + strings.Repeat("g", 64)} {
		if (ID{Version: v}).sha256() != nil && v != "sha256:"+sum {
			t.Errorf("a sum was found in %q", v)
		}
	}
}

// A File stays valid after Close of its Cache, even if one of its blocks is corrupt.
func TestRepairAfterCloseOfTheCache(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(someSize)
	for _, obj := range []Object{o, WithSHA256(o, sumOf(o.body))} {
		c := c.restart(nil)
		f, err := c.Open(background, obj)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(c.only(c.dataFiles()), 10); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if b, err := f.readAll(); err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("wrong bytes, or %v", err)
		}
		f.Close()
	}
}

// A disk that loses each copy once it is verified neither hides the bytes from callers
// nor makes them fetch the object forever.
func TestSHA256OnADiskThatLosesAll(t *testing.T) {
	const blocks = 4 // of someSize, each read once to verify it
	reads := 0       // of the file opened last
	d := &faultyDisk{fails: func(op string) bool {
		switch op {
		case "open":
			reads = 0
		case "read":
			reads++
		}
		return op == "read" && reads > blocks
	}}
	c, o := newTest(t, Options{MaxAge: Immutable}, d), newOrigin(someSize)
	if b, err := c.ReadFile(background, WithSHA256(o, sumOf(o.body))); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if n := o.requests(); n > 1+2*blocks {
		t.Errorf("%d requests", n)
	}
}
