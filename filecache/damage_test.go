package filecache

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

func flip(t *testing.T, path string, at int) {
	t.Helper()
	change(t, path, func(b []byte) []byte { b[at] ^= 0x40; return b })
}

func change(t *testing.T, path string, f func([]byte) []byte) {
	t.Helper()
	if err := rewrite(path, f); err != nil {
		t.Fatal(err)
	}
}

// rewrite rewrites a file in place and restores its modification time. It waits until the
// change time differs from before: before Linux 6.13, the clock of files ticks only every
// few milliseconds.
func rewrite(path string, f func([]byte) []byte) error {
	dir := disk.New(filepath.Dir(path))
	before, err := dir.Lstat(filepath.Base(path))
	if err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, f(b), 0o600); err != nil {
		return err
	}
	for {
		if err := os.Chtimes(path, time.Time{}, before.ModTime); err != nil {
			return err
		}
		after, err := dir.Lstat(filepath.Base(path))
		if err != nil || after.ID != before.ID {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// However the files are damaged, no reader gets wrong bytes.
func TestDamage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, c *testCache, data, entry string)
	}{
		{"first byte", func(t *testing.T, _ *testCache, data, _ string) { flip(t, data, 0) }},
		{"second block", func(t *testing.T, _ *testCache, data, _ string) { flip(t, data, blocks.MinSize+5) }},
		{"last byte", func(t *testing.T, _ *testCache, data, _ string) { flip(t, data, someSize-1) }},
		{"every block", func(t *testing.T, _ *testCache, data, _ string) {
			for at := 0; at < someSize; at += blocks.MinSize {
				flip(t, data, at)
			}
		}},
		{"zeros", func(t *testing.T, _ *testCache, data, _ string) {
			change(t, data, func(b []byte) []byte { clear(b); return b })
		}},
		{"truncated", func(t *testing.T, _ *testCache, data, _ string) { os.Truncate(data, 400) }},
		{"empty", func(t *testing.T, _ *testCache, data, _ string) { os.Truncate(data, 0) }},
		{"extended", func(t *testing.T, _ *testCache, data, _ string) {
			change(t, data, func(b []byte) []byte { return append(b, 0) })
		}},
		{"data gone", func(t *testing.T, _ *testCache, data, _ string) { os.Remove(data) }},
		{"entry gone", func(t *testing.T, _ *testCache, _, entry string) { os.Remove(entry) }},
		{"entry truncated", func(t *testing.T, _ *testCache, _, entry string) { os.Truncate(entry, 100) }},
		{"entry empty", func(t *testing.T, _ *testCache, _, entry string) { os.Truncate(entry, 0) }},
		{"data is a directory", func(t *testing.T, _ *testCache, data, _ string) { os.Remove(data); os.Mkdir(data, 0o700) }},
		{"entry is a directory", func(t *testing.T, _ *testCache, _, entry string) { os.Remove(entry); os.Mkdir(entry, 0o700) }},
		{"everything gone", func(t *testing.T, c *testCache, _, _ string) { os.RemoveAll(c.root) }},
		{"a file in the place of the directory", func(t *testing.T, c *testCache, _, _ string) {
			os.RemoveAll(c.root)
			os.WriteFile(c.root, nil, 0o600)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { damaged(t, tt.damage) })
	}
}

// damaged damages the files of three caches: one that was just used, one that has
// relied on them for longer, and a restarted one. It reads each in all ways.
func damaged(t *testing.T, damage func(t *testing.T, c *testCache, data, entry string)) {
	for _, restart := range []bool{false, true} {
		for name, read := range map[string]func(*File, int) ([]byte, error){
			"whole":        func(f *File, _ int) ([]byte, error) { return io.ReadAll(f) },
			"small pieces": readPieces,
		} {
			c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
			c.want(o)
			damage(t, c, c.only(c.dataFiles()), c.only(c.entryFiles()))
			if restart {
				c = c.restart(nil)
			}
			for range 2 {
				f, err := c.Open(background, o)
				if err != nil {
					t.Fatalf("restart %v, %s: Open: %v", restart, name, err)
				}
				if b, err := read(f, someSize); err != nil || !bytes.Equal(b, o.body) {
					t.Errorf("restart %v, %s: wrong bytes, or %v", restart, name, err)
				}
				f.Close()
			}
			c.want(o)
		}
	}
}

func readPieces(f *File, size int) ([]byte, error) {
	b := make([]byte, size)
	for at := 0; at < size; at += 100_001 {
		p := b[at:min(at+100_001, size)]
		if _, err := f.ReadAt(p, int64(at)); err != nil && err != io.EOF {
			return nil, err
		}
	}
	return b, nil
}

// The file is damaged while it is open and partly read.
func TestDamageWhileOpen(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	c = c.restart(nil)
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 100)
	f.ReadAt(p, 0) // the first block is verified
	o.requests()
	data := c.only(c.dataFiles())
	flip(t, data, blocks.MinSize)
	os.Truncate(data, 3*blocks.MinSize) // removes the last block
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("wrong bytes, or %v", err)
	}
	asked := o.asked
	if n := len(asked); n != 2 || asked[0].Offset != blocks.MinSize || asked[0].Length != blocks.MinSize || asked[0].IfMatch != o.etag {
		t.Errorf("requests were %+v, want the two blocks", asked)
	}
	if s := c.Stats(); s.Repairs != 2 {
		t.Errorf("Stats = %+v", s)
	}
	o.requests()
	c.want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests, want the next Open to fetch the object again", n)
	}
}

// A corrupt block of a version that the origin no longer has cannot be repaired: the
// read returns an error, and never other bytes.
func TestDamagedAndReplacedAtTheOrigin(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	flip(t, c.only(c.dataFiles()), 10)
	c = c.restart(nil)
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.put(randomBytes(someSize, 2))
	if _, err := io.ReadAll(f); err == nil {
		t.Error("no error")
	}
	c.want(o)
}

// Every byte of an entry is significant.
func TestEveryByteOfTheEntry(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(largeSize)
	c.want(o)
	entry := c.only(c.entryFiles())
	good, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for _, n := range []*testCache{c.restart(nil)} {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			os.WriteFile(entry, bad, 0o600)
			if _, err := n.store.TestRead(entryName(mustID(o))); err == nil {
				t.Fatalf("byte %d: the entry is still accepted", i)
			}
			os.WriteFile(entry, good[:i], 0o600)
			if _, err := n.store.TestRead(entryName(mustID(o))); err == nil {
				t.Fatalf("cut at %d: the entry is still accepted", i)
			}
		}
	}
}

// Files that are intact, but belong to another object or another version.
func TestSwappedFiles(t *testing.T) {
	setup := func(t *testing.T) (c *testCache, a, b *origin, ea, eb store.TestEntry) {
		c = newTest(t, Options{MaxAge: time.Hour}, nil)
		a, b = newOrigin(someSize), newOrigin(someSize)
		b.name = "other.bin"
		b.put(randomBytes(someSize, 2))
		c.want(a)
		c.want(b)
		ea, _ = c.store.TestRead(entryName(mustID(a)))
		eb, _ = c.store.TestRead(entryName(mustID(b)))
		return
	}
	swap := func(t *testing.T, x, y string) {
		t.Helper()
		for _, m := range [][2]string{{x, x + ".t"}, {y, x}, {x + ".t", y}} {
			if err := os.Rename(m[0], m[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("entries", func(t *testing.T) {
		c, a, b, ea, eb := setup(t)
		swap(t, c.entryPath(store.TestEntryName(ea.Key)), c.entryPath(store.TestEntryName(eb.Key)))
		c = c.restart(nil)
		c.want(a)
		c.want(b)
	})
	t.Run("data", func(t *testing.T) {
		c, a, b, ea, eb := setup(t)
		swap(t, c.dataPath(ea.Data), c.dataPath(eb.Data))
		c.want(a)
		c = c.restart(nil)
		c.want(a)
		c.want(b)
	})
	t.Run("older generation", func(t *testing.T) {
		c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(someSize)
		c.want(o)
		data, entry := c.only(c.dataFiles()), c.only(c.entryFiles())
		oldData, _ := os.ReadFile(data)
		oldEntry, _ := os.ReadFile(entry)
		o.put(randomBytes(someSize, 3))
		c.clocks.Move(time.Minute, time.Minute)
		c.want(o)
		os.WriteFile(data, oldData, 0o600)
		os.WriteFile(entry, oldEntry, 0o600)
		c.restart(nil).want(o)
	})
}

// A directory in the place of an entry does not keep the object out of the cache
// forever.
func TestDirectoryInThePlaceOfAnEntry(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(1000)
	c.want(o)
	entry := c.only(c.entryFiles())
	c.Clear()
	if err := os.Mkdir(entry, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.want(o)
	}
	if s := c.Stats(); s.Misses != 2 || s.Hits != 1 || s.Uncached != 0 {
		t.Errorf("Stats = %+v", s)
	}
}
