//go:build unix

package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A directory that others could use is refused by every call, and stays unchanged.
func TestNotPrivate(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, path string){
		"open to the group": func(t *testing.T, path string) { os.Chmod(path, 0o770) },
		"open to all":       func(t *testing.T, path string) { os.Chmod(path, 0o777) },
		"a link": func(t *testing.T, path string) {
			os.Rename(path, path+".real")
			os.Symlink(path+".real", path)
		},
		"a file": func(t *testing.T, path string) {
			os.RemoveAll(path)
			os.WriteFile(path, nil, 0o600)
		},
		"a FIFO": func(t *testing.T, path string) {
			os.RemoveAll(path)
			unix.Mkfifo(path, 0o600)
		},
		"of another user": func(t *testing.T, path string) {
			if os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			os.Chown(path, 12345, 12345)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			put(t, d, "x", "one")
			spoil(t, d.path)
			for _, d := range []*Dir{d, New(d.path)} {
				if err := d.Check(); !errors.Is(err, ErrNotPrivate) {
					t.Errorf("Check = %v", err)
				}
				if err := d.Make(); !errors.Is(err, ErrNotPrivate) {
					t.Errorf("Make = %v", err)
				}
			}
			d = New(d.path)
			for call, err := range map[string]error{
				"Mkdir":     d.Mkdir("e"),
				"Remove":    d.Remove("d/x"),
				"RemoveAll": d.RemoveAll("d"),
				"Touch":     d.Touch("d/x", time.Now()),
				"Open":      second(d.Open("d/x")),
				"OpenDir":   second(d.OpenDir("d")),
				"Lstat":     second(d.Lstat("d/x")),
				"ReadDir":   second(d.ReadDir("d")),
				"Create":    second(d.Create("d", 1)),
				"Locks":     second(d.Locks("turns")),
				"Path":      second(d.Path("d/x")),
				"Space":     second(d.Space()),
			} {
				if !errors.Is(err, ErrNotPrivate) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// Other kinds of files do not block Open, and do not count as private files.
func TestOtherKindsOfFiles(t *testing.T) {
	d := newDir(t)
	for name, make := range map[string]func(path string) error{
		"fifo": func(p string) error { return unix.Mkfifo(p, 0o600) },
		"dir":  func(p string) error { return os.Mkdir(p, 0o700) },
		"link": func(p string) error { return os.Symlink("/etc/passwd", p) },
		"self": func(p string) error { return os.Symlink("self", p) },
	} {
		if err := make(filepath.Join(d.path, "d", name)); err != nil {
			t.Fatal(err)
		}
		f, err := d.Open("d/" + name)
		if err == nil {
			info, err := f.Stat()
			if err != nil || info.Private() {
				t.Errorf("%s: %+v, %v", name, info, err)
			}
			f.Close()
		}
		put(t, d, "file", "x")
		if name == "dir" {
			continue
		}
		put(t, d, name, "repaired")
		wantRead(t, d, "d/"+name, "repaired")
	}
}

// If another kind of file is in the place of the lock file, it is replaced without
// waiting.
func TestLocksAreRepaired(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"fifo":    func(p string) error { return unix.Mkfifo(p, 0o600) },
		"dir":     func(p string) error { return os.MkdirAll(filepath.Join(p, "deep"), 0o700) },
		"link":    func(p string) error { return os.Symlink("/etc/passwd", p) },
		"nothing": func(string) error { return nil },
	} {
		d := newDir(t)
		if err := make(filepath.Join(d.path, "turns")); err != nil {
			t.Fatal(err)
		}
		l, err := d.Locks("turns")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := l.Acquire(7); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		l.Close()
	}
}

// Programs that get a published file's path cannot write to it.
func TestPublishedFilesAreReadOnly(t *testing.T) {
	for _, named := range []bool{false, true} {
		d := newDir(t)
		if named {
			d.TestNoTmpfile()
		}
		put(t, d, "x", "one")
		if info, _ := d.Lstat("d/x"); info.Mode.Perm() != 0o400 {
			t.Errorf("mode %v", info.Mode)
		}
	}
}

// openBelow returns the number of this process's descriptors of files in d.
func openBelow(t *testing.T, d *Dir) (n int) {
	t.Helper()
	path, err := d.Path("d")
	if err != nil {
		t.Fatal(err)
	}
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	if len(descriptors) == 0 {
		t.Skip("needs /proc/self/fd:", err)
	}
	for _, fd := range descriptors {
		if name, _ := os.Readlink(fd); strings.HasPrefix(name, filepath.Dir(path)) {
			n++
		}
	}
	return n
}

// Descriptors are closed together with their directories.
func TestNoDescriptorsLeak(t *testing.T) {
	d := newDir(t)
	put(t, d, "x", "one")
	before := openBelow(t, d)
	if before == 0 {
		t.Fatal("d's own descriptor is not among those counted")
	}
	for range 100 {
		wantRead(t, d, "d/x", "one")
		put(t, d, "x", "one")
		d.ReadDir("d")
		d.Open("d/none")
		d.OpenDir("d/x")
		d.RemoveAll("d/none")
		d.Check()
		if l, err := d.Locks("turns"); err == nil {
			l.Close()
		}
		if f, err := d.OpenDir("d"); err == nil {
			f.Close()
		}
	}
	if after := openBelow(t, d); after != before {
		t.Errorf("%d descriptors are open, there were %d", after, before)
	}
}

// A file that is never closed is closed when it is collected.
func TestLostFilesAreClosed(t *testing.T) {
	d := newDir(t)
	put(t, d, "x", "one")
	before := openBelow(t, d)
	f, err := d.Open("d/x")
	if err != nil {
		t.Fatal(err)
	}
	if n := openBelow(t, d); n != before+1 {
		t.Fatalf("%d descriptors are open, want %d", n, before+1)
	}
	runtime.KeepAlive(f)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if runtime.GC(); openBelow(t, d) == before {
			return
		}
	}
	t.Error("it is still open")
}
