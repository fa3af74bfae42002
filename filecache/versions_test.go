package filecache

import (
	"encoding/binary"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"
	"github.com/warmcache/warmcache/filecache/internal/store"
)

// A Cache leaves the directory of another format version alone, and all other files
// beside its own.
func TestNeighboursAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Base(store.DefaultPath(dir))
	beside := func() map[string]string {
		m := map[string]string{}
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || strings.HasPrefix(p, filepath.Join(dir, own)) || p == dir {
				return err
			}
			fi, err := d.Info()
			if err != nil {
				return err
			}
			m[p] = fi.Mode().String() + fi.ModTime().String()
			if fi.Mode().IsRegular() {
				b, err := os.ReadFile(p)
				m[p] += string(b)
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	old := time.Now().Add(-48 * time.Hour)
	for _, name := range []string{
		strings.Replace(own, ".v1.", ".v2.", 1) + "/e/" + strings.Repeat("a", 64),
		strings.Replace(own, ".v1.", ".v2.", 1) + "/d/0123456789abcdef-5-0123456789abcdef",
		strings.Replace(own, ".v1.", ".v2.", 1) + "/d/.tmp-1-2",
		"warmcache.v1.99999/e/x",
		"garbage", ".tmp-1-1", "e/x", "d/y",
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("bytes"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, old, old); err != nil {
			t.Fatal(err)
		}
	}
	before := beside()
	life(t, dir, nil)
	c := newTest(t, Options{Dir: dir}, nil)
	c.Clear()
	if !maps.Equal(before, beside()) {
		t.Errorf("before:\n%v\nafter:\n%v", before, beside())
	}
}

// An entry of a later version in this version's directory is a miss and is replaced.
func TestEntryOfALaterVersion(t *testing.T) {
	for name, later := range map[string]func([]byte) []byte{
		"same fields": func(b []byte) []byte { return b },
		"more fields": func(b []byte) []byte { return append(b, 1, 2, 3, 4) },
	} {
		t.Run(name, func(t *testing.T) {
			c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
			c.want(o)
			entry := c.only(c.entryFiles())
			change(t, entry, func(b []byte) []byte {
				b = later(b[:len(b)-8])
				binary.BigEndian.PutUint32(b[8:], binary.BigEndian.Uint32(b[8:])+1)
				binary.BigEndian.PutUint32(b[12:], uint32(len(b)+8))
				return binary.BigEndian.AppendUint64(b, crc64nvme.Checksum(b))
			})
			n := c.restart(nil)
			n.want(o)
			if s := n.Stats(); s.Misses != 1 || s.Hits != 0 || s.Faults == 0 {
				t.Errorf("Stats = %+v", s)
			}
			if _, err := n.store.TestRead(filepath.Base(n.only(n.entryFiles()))); err != nil {
				t.Error(err)
			}
			n = n.restart(nil)
			n.want(o)
			if s := n.Stats(); s.Hits != 1 || s.Misses != 0 {
				t.Errorf("after it was replaced: Stats = %+v", s)
			}
		})
	}
}
