package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newDir returns an existing Dir with the subdirectory "d".
func newDir(t *testing.T) *Dir {
	t.Helper()
	d := New(filepath.Join(t.TempDir(), "private"))
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	if err := d.Mkdir("d"); err != nil {
		t.Fatal(err)
	}
	return d
}

func put(t *testing.T, d *Dir, name, content string) {
	t.Helper()
	f, err := d.Create("d", int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := f.Replace(name); err != nil {
		t.Fatal(err)
	}
}

func read(d *Dir, name string) (string, error) {
	f, err := d.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	return string(b), err
}

func wantRead(t *testing.T, d *Dir, name, want string) {
	t.Helper()
	if got, err := read(d, name); got != want || err != nil {
		t.Errorf("read(%s) = %q, %v; want %q", name, got, err, want)
	}
}

func TestFilesOfADir(t *testing.T) {
	d := newDir(t)
	put(t, d, "x", "one")
	wantRead(t, d, "d/x", "one")
	info, err := d.Lstat("d/x")
	if err != nil || !info.Private() || info.Size != 3 || !info.Linked {
		t.Errorf("Lstat = %+v, %v", info, err)
	}
	at := time.Unix(1_000_000, 0)
	if err := d.Touch("d/x", at); err != nil {
		t.Error(err)
	}
	if info, _ := d.Lstat("d/x"); !info.ModTime.Equal(at) {
		t.Errorf("touched: %v", info.ModTime)
	}
	put(t, d, "x", "two")
	wantRead(t, d, "d/x", "two")
	if names, err := d.ReadDir("d"); err != nil || !slices.Equal(names, []string{"x"}) {
		t.Errorf("ReadDir = %v, %v", names, err)
	}
	if err := d.Remove("d/x"); err != nil {
		t.Error(err)
	}
	if _, err := read(d, "d/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
}

func TestPublishDoesNotReplace(t *testing.T) {
	for _, named := range []bool{false, true} {
		d := newDir(t)
		if named {
			d.TestNoTmpfile()
		}
		put(t, d, "x", "one")
		f, err := d.Create("d", 3)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Publish("x"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Publish over a file = %v", err)
		}
		f.Close()
		wantRead(t, d, "d/x", "one")
		if names, _ := d.ReadDir("d"); len(names) != 1 {
			t.Errorf("left: %v", names)
		}
	}
}

// A name cannot lead outside the directory, or more than one level below it.
func TestNamesThatLeadOut(t *testing.T) {
	d := newDir(t)
	for _, name := range []string{"", ".", "..", "../x", "d/..", "d/../x", "d/x/y", "/etc/passwd", "d/", `d\..\x`} {
		if f, err := d.Open(name); err == nil {
			t.Errorf("Open(%q) succeeded", name)
			f.Close()
		}
		if err := d.RemoveAll(name); err == nil {
			t.Errorf("RemoveAll(%q) succeeded", name)
		}
	}
}

// If the directory or a subdirectory was removed or replaced, it is opened again.
func TestVanishedDirectory(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not remove a directory that is open")
	}
	for name, vanish := range map[string]func(d *Dir){
		"removed":         func(d *Dir) { os.RemoveAll(d.path) },
		"renamed":         func(d *Dir) { os.Rename(d.path, d.path+".old") },
		"sub removed":     func(d *Dir) { os.RemoveAll(d.path + "/d") },
		"sub renamed":     func(d *Dir) { os.Rename(d.path+"/d", d.path+"/old") },
		"sub is replaced": func(d *Dir) { os.RemoveAll(d.path + "/d"); os.Mkdir(d.path+"/d", 0o700) },
		"sub is a file":   func(d *Dir) { os.RemoveAll(d.path + "/d"); os.WriteFile(d.path+"/d", nil, 0o600) },
		"sub is a link":   func(d *Dir) { os.RemoveAll(d.path + "/d"); os.Symlink(os.TempDir(), d.path+"/d") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			put(t, d, "x", "old")
			vanish(d)
			if name != "renamed" { // the open directory still has its files
				if got, err := read(d, "d/x"); err == nil && name != "sub renamed" {
					t.Errorf("read %q", got)
				}
			}
			if err := d.Make(); err != nil {
				t.Fatal(err)
			}
			if err := d.Mkdir("d"); err != nil {
				t.Fatal(err)
			}
			put(t, d, "x", "new")
			wantRead(t, New(d.path), "d/x", "new")
			wantRead(t, d, "d/x", "new")
		})
	}
}

// Path returns the path only if it leads to the open directory.
func TestPath(t *testing.T) {
	d := newDir(t)
	put(t, d, "x", "one")
	path, err := d.Path("d/x")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); string(b) != "one" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := d.Path("d/y"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Path of a missing file: %v", err)
	}
	if runtime.GOOS == "windows" {
		return // this system cannot rename an open directory
	}
	if err := os.Rename(d.path, d.path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(d.path, os.DirFS(d.path+".old")); err != nil {
		t.Fatal(err)
	}
	if path, err := d.Path("d/x"); !errors.Is(err, ErrNotPrivate) {
		t.Errorf("Path = %s, %v, which leads to another file", path, err)
	}
}

func TestRemoveAll(t *testing.T) {
	d := newDir(t)
	for _, dir := range []string{"d/s/deep/deeper", "d/s/empty"} {
		if err := os.MkdirAll(filepath.Join(d.path, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	os.Symlink(filepath.Dir(outside), filepath.Join(d.path, "d/s/deep/link"))
	for _, dir := range []string{"d/s/deep/deeper", "d/s/deep"} {
		os.Chmod(filepath.Join(d.path, dir), 0o500) // prevents a plain removal, except for root
	}
	if err := d.RemoveAll("d/s"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(d.path, "d/s")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	if err := d.RemoveAll("d/s"); err != nil {
		t.Errorf("again: %v", err)
	}
}

// A Read concurrent with Close returns the file's bytes or ErrClosed. It never reads
// another file whose descriptor has the same number.
func TestReadRacesWithClose(t *testing.T) {
	d := newDir(t)
	put(t, d, "x", "one")
	put(t, d, "y", "two")
	for range 200 {
		f, err := d.Open("d/x")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			b := make([]byte, 3)
			_, err := f.ReadAt(b, 0)
			if err == nil && string(b) != "one" {
				err = errors.New("read " + string(b))
			}
			done <- err
		}()
		f.Close()
		other, err := d.Open("d/y")
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
		other.Close()
		if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
	}
}

func TestSpace(t *testing.T) {
	d := New(filepath.Join(t.TempDir(), "not", "there", "yet"))
	before, err := d.Space()
	if err != nil || before.Total <= 0 {
		t.Errorf("before there is a directory: %+v, %v", before, err)
	}
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	if after, err := d.Space(); err != nil || after.Total != before.Total {
		t.Errorf("%+v, %v; before: %+v", after, err, before)
	}
}

// A listing contains each name that exists throughout, even if others come and go.
func TestList(t *testing.T) {
	d := newDir(t)
	const n = 300
	for i := range n {
		put(t, d, fmt.Sprintf("name-%03d", i), "")
	}
	l, err := d.List("d")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen, calls := map[string]bool{}, 0
	for {
		names, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil || len(names) == 0 {
			t.Fatalf("Next = %v, %v", names, err)
		}
		for _, name := range names {
			seen[name] = true
		}
		for i := range n { // remove some of the odd names that were not listed yet
			if name := fmt.Sprintf("name-%03d", i); i%2 == 1 && i/10 == calls && !seen[name] {
				d.Remove("d/" + name)
			}
		}
		put(t, d, fmt.Sprintf("new-%d", calls), "")
		calls++
	}
	for i := 0; i < n; i += 2 {
		if name := fmt.Sprintf("name-%03d", i); !seen[name] {
			t.Errorf("%s was not listed", name)
		}
	}
	if calls < 3 {
		t.Errorf("%d calls", calls)
	}
}
