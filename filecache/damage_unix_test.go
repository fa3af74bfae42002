//go:build unix

package filecache

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Files that another user of /tmp, or a confused program, can put in a file's place.
func TestForeignFiles(t *testing.T) {
	root := os.Geteuid() == 0
	for _, tt := range []struct {
		name   string
		skip   bool
		damage func(t *testing.T, c *testCache, data, entry string)
	}{
		{"data is a FIFO", false, func(t *testing.T, _ *testCache, data, _ string) { os.Remove(data); syscall.Mkfifo(data, 0o600) }},
		{"entry is a FIFO", false, func(t *testing.T, _ *testCache, _, entry string) { os.Remove(entry); syscall.Mkfifo(entry, 0o600) }},
		{"data is a symbolic link", false, func(t *testing.T, _ *testCache, data, _ string) {
			os.Rename(data, data+".x")
			os.Symlink(data+".x", data)
		}},
		{"entry is a symbolic link", false, func(t *testing.T, _ *testCache, _, entry string) {
			os.Rename(entry, entry+".x")
			os.Symlink(entry+".x", entry)
		}},
		{"data has a second name", false, func(t *testing.T, _ *testCache, data, _ string) { os.Link(data, data+".x") }},
		{"entry has a second name", false, func(t *testing.T, _ *testCache, _, entry string) { os.Link(entry, entry+".x") }},
		{"directory is a symbolic link", false, func(t *testing.T, c *testCache, _, _ string) {
			os.Rename(c.root, c.root+".x")
			os.Symlink(c.root+".x", c.root)
		}},
		{"directory is open to all", false, func(t *testing.T, c *testCache, _, _ string) { os.Chmod(c.root, 0o777) }},
		{"directory belongs to another", !root, func(t *testing.T, c *testCache, _, _ string) { os.Chown(c.root, 12345, 12345) }},
		{"data belongs to another", !root, func(t *testing.T, _ *testCache, data, _ string) { os.Chown(data, 12345, 12345) }},
		{"entry belongs to another", !root, func(t *testing.T, _ *testCache, _, entry string) { os.Chown(entry, 12345, 12345) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.skip {
				t.Skip("needs root")
			}
			damaged(t, tt.damage)
		})
	}
}

// A directory that other users can access is neither written to nor read from.
func TestHostileDirectoryIsNotUsed(t *testing.T) {
	for name, hostile := range map[string]func(path string){
		"open to all":   func(path string) { os.Mkdir(path, 0o777); os.Chmod(path, 0o777) },
		"symbolic link": func(path string) { os.Mkdir(path+".x", 0o700); os.Symlink(path+".x", path) },
	} {
		t.Run(name, func(t *testing.T) {
			c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(100)
			hostile(c.root)
			c.want(o)
			if _, err := os.Stat(c.dataPath("")); err == nil {
				t.Error("it was used")
			}
			if s := c.Stats(); s.Faults == 0 || s.Uncached != 1 {
				t.Errorf("Stats = %+v", s)
			}
		})
	}
}

// Size and kind are checked before a byte is read: the checksums would come too late.
func TestOpenLooksAtTheFile(t *testing.T) {
	for name, damage := range map[string]func(string){
		"extended": func(p string) {
			f, _ := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			f.Write([]byte{0})
			f.Close()
		},
		"symbolic link": func(p string) { os.Rename(p, p+".x"); os.Symlink(p+".x", p) },
	} {
		c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
		c.want(o)
		damage(c.only(c.dataFiles()))
		o.requests()
		f, err := c.Open(background, o)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if n := o.requests(); n != 1 || c.Stats().Faults == 0 {
			t.Errorf("%s: %d requests, %+v: the file was accepted", name, n, c.Stats())
		}
	}
}

// A hard link that the user makes to a copy does not damage it.
func TestHardLinkOfACopy(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	path, release, err := c.Path(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, filepath.Join(t.TempDir(), "mine")); err != nil {
		t.Skip("no hard links between these directories:", err)
	}
	release()
	for range 3 {
		c = c.restart(nil)
		c.want(o)
	}
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A directory of another user is neither written to nor emptied.
func TestDirectoryOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(largeSize)
	c.want(o)
	os.Chown(c.root, 12345, 12345)
	n := c.restart(nil)
	n.want(o)
	n.Clear()
	if s := n.Stats(); s.Uncached != 1 || s.Faults == 0 || len(c.dataFiles()) != 1 {
		t.Errorf("it was used: %+v, %v", s, c.dataFiles())
	}
}
