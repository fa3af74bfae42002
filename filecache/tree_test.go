package filecache

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

// packed is an entry of an archive.
type packed struct {
	name string
	mode fs.FileMode // 0: a file with 0644
	body string
	flag byte // of tar; 0: by mode
}

var packedAt = time.Date(2020, 2, 2, 2, 2, 2, 0, time.UTC)

func tarOf(entries ...packed) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.body)), ModTime: packedAt, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if e.mode != 0 {
			h.Mode = int64(e.mode.Perm())
		}
		if e.mode.IsDir() {
			h.Typeflag = tar.TypeDir
		}
		if e.flag != 0 {
			h.Typeflag, h.Linkname = e.flag, "/etc/passwd"
		}
		if e.flag == tar.TypeXGlobalHeader {
			h = &tar.Header{Name: e.name, Typeflag: e.flag, PAXRecords: map[string]string{"comment": "1"}}
		}
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		io.WriteString(w, e.body)
	}
	w.Close()
	return b.Bytes()
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zipPacked(entries ...packed) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: packedAt}
		h.SetMode(0o644)
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			panic(err)
		}
		io.WriteString(f, e.body)
	}
	w.Close()
	return b.Bytes()
}

// someEntries are the files of a version of an archive.
func someEntries(version int) []packed {
	v := fmt.Sprint("version ", version)
	return []packed{
		{name: "a/", mode: fs.ModeDir | 0o755},
		{name: "a/b/deep.txt", body: v + strings.Repeat(" deep", 2000)},
		{name: "a/run.sh", mode: 0o755, body: "#!/bin/sh\necho " + v},
		{name: "empty"},
		{name: "top.txt", body: v},
	}
}

func archive(version int) *origin {
	o := newOrigin(0)
	o.put(gzipOf(tarOf(someEntries(version)...)))
	return o
}

// treeFiles returns the files of a directory.
func treeFiles(dir string) (map[string]string, error) {
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		got[filepath.ToSlash(rel)] = string(b)
		return err
	})
	return got, err
}

func wantFiles(version int) map[string]string {
	want := map[string]string{}
	for _, e := range someEntries(version) {
		if !e.mode.IsDir() {
			want[e.name] = e.body
		}
	}
	return want
}

// wantTree returns the tree of o, which must have the files of a version.
func (c *testCache) wantTree(o Object, version int) (dir string, release func()) {
	c.t.Helper()
	dir, release, err := c.Tree(background, o, 0)
	if err != nil {
		c.t.Fatalf("Tree: %v", err)
	}
	got, err := treeFiles(dir)
	if err != nil || !maps.Equal(got, wantFiles(version)) {
		c.t.Errorf("the tree has %.300q, %v, want version %d", fmt.Sprint(got), err, version)
	}
	return dir, release
}

func (c *testCache) trees() []string { return c.glob("t") }

func TestTree(t *testing.T) {
	for name, pack := range map[string]func(...packed) []byte{
		"tar":    tarOf,
		"tar.gz": func(e ...packed) []byte { return gzipOf(tarOf(e...)) },
		"zip":    zipPacked,
	} {
		t.Run(name, func(t *testing.T) {
			c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
			o.put(pack(someEntries(1)...))
			dir, release := c.wantTree(o, 1)
			for file, perm := range map[string]fs.FileMode{"a/run.sh": 0o500, "top.txt": 0o400, "a": 0o500 | fs.ModeDir} {
				info, err := os.Stat(filepath.Join(dir, file))
				if err != nil || disk.CanLock && info.Mode() != perm || !info.IsDir() && !info.ModTime().Equal(packedAt) {
					t.Errorf("%s: %v, %v", file, info, err)
				}
			}
			release()
			again, release := c.wantTree(o, 1)
			release()
			restarted, release := c.restart(nil).wantTree(o, 1)
			release()
			if again != dir || restarted != dir {
				t.Errorf("three directories of a version: %s, %s, %s", dir, again, restarted)
			}
			if n := o.requests(); n != 1 {
				t.Errorf("%d requests", n)
			}
			if f := c.Stats().Faults; f != 0 {
				t.Errorf("%d faults: %v", f, c.Stats().FaultsBy)
			}
		})
	}
}

// Another version has another directory. The previous one stays while it is in use.
func TestTreeOfAnotherVersion(t *testing.T) {
	c, o := newTest(t, Options{}, nil), archive(1)
	one, release := c.wantTree(o, 1)
	o.put(archive(2).body)
	two, release2 := c.wantTree(o, 2)
	if got, err := treeFiles(one); err != nil || !maps.Equal(got, wantFiles(1)) {
		t.Errorf("the tree in use: %v", err)
	}
	release()
	release()
	release2()
	o.put(archive(3).body)
	three, release3 := c.wantTree(o, 3)
	defer release3()
	if trees := c.trees(); len(trees) != 1 || trees[0] != three || one == two || two == three {
		t.Errorf("left %v of %s, %s, %s", trees, one, two, three)
	}
}

func TestTreeRefuses(t *testing.T) {
	file := packed{name: "a", body: "1"}
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		name, want string
		archive    []byte
	}{
		{"absolute", "plain relative", tarOf(packed{name: "/etc/cron"})},
		{"parent", "plain relative", tarOf(packed{name: "a/../../b"})},
		{"parent in a zip", "plain relative", zipPacked(packed{name: "../b"})},
		{"absolute in a zip", "plain relative", zipPacked(packed{name: "/b"})},
		{"backslash", "plain relative", zipPacked(packed{name: `..\b`})},
		{"NUL", "plain relative", zipPacked(packed{name: "a\x00b"})},
		{"empty element", "plain relative", zipPacked(packed{name: "a//b"})},
		{"no name", "no name", zipPacked(packed{name: ""})},
		{"the root as a file", "top directory", zipPacked(packed{name: "."})},
		{"symbolic link", "symbolic link", tarOf(packed{name: "a", flag: tar.TypeSymlink})},
		{"hard link", "hard link", tarOf(packed{name: "a", flag: tar.TypeLink})},
		{"device", "device", tarOf(packed{name: "a", flag: tar.TypeChar})},
		{"FIFO", "FIFO", tarOf(packed{name: "a", flag: tar.TypeFifo})},
		{"symbolic link in a zip", "only files", zipPacked(packed{name: "a", mode: fs.ModeSymlink | 0o777, body: "/etc"})},
		{"device in a zip", "only files", zipPacked(packed{name: "a", mode: fs.ModeDevice | 0o600})},
		{"twice", "twice", tarOf(file, file)},
		{"twice in a zip", "twice", zipPacked(file, packed{name: "./a"})},
		{"a file as a directory", "as a file and as a directory", tarOf(file, packed{name: "a/b"})},
		{"a directory as a file", "twice", tarOf(packed{name: "a/b"}, file)},
		{"long element", "too long", tarOf(packed{name: long})},
		{"long path", "too long", tarOf(packed{name: strings.Repeat(long[:200]+"/", 11) + "x"})},
		{"deep", "too deep", tarOf(packed{name: strings.Repeat("x/", 64) + "x"})},
		{"no archive", "neither a tar", bytes.Repeat([]byte("text "), 500)},
		{"nothing", "neither a tar", nil},
		{"cut", "unexpected EOF", tarOf(packed{name: "a", body: strings.Repeat("x", 5000)})[:3000]},
		{"cut gzip", "unexpected EOF", gzipOf(tarOf(file))[:60]},
		{"wrong gzip checksum", "checksum", func() []byte { b := gzipOf(tarOf(file)); b[len(b)-8]++; return b }()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
			o.put(tt.archive)
			dir, _, err := c.Tree(background, o, 0)
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrNoDisk) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Tree = %q, %v, want an error with %q", dir, err, tt.want)
			}
			if left := c.trees(); len(left) != 0 {
				t.Errorf("left %v", left)
			}
			if u := c.usage(); u.Reserved != 0 || u.Written != 0 {
				t.Errorf("%+v", u)
			}
			o.put(archive(5).body)
			c.Forget(o)
			_, release := c.wantTree(o, 5)
			release()
		})
	}
}

func TestTreeTakesWhatTarWrites(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
	entries := []packed{{name: "pax_global_header", flag: tar.TypeXGlobalHeader}, {name: "./", mode: fs.ModeDir | 0o755}}
	for _, e := range someEntries(1) {
		e.name = "./" + e.name
		entries = append(entries, e)
	}
	o.put(tarOf(append(entries, packed{name: "./a/", mode: fs.ModeDir | 0o700})...))
	_, release := c.wantTree(o, 1)
	release()
}

func TestTreeLimits(t *testing.T) {
	c := newTest(t, Options{MaxAge: time.Minute}, nil)
	bomb := strings.Repeat("\x00", 1<<20)
	for name, b := range map[string][]byte{
		"tar.gz": gzipOf(tarOf(packed{name: "bomb", body: bomb})),
		"zip":    zipPacked(packed{name: "bomb", body: bomb}),
		"tail":   gzipOf(append(tarOf(), bomb...)),
		"files":  zipPacked(packed{name: "1"}, packed{name: "2"}, packed{name: "3/4"}),
	} {
		o := newOrigin(0)
		o.put(b)
		o.name = name
		limit := int64(1 << 19)
		if name == "files" {
			limit = 3 * 4096
		}
		if dir, _, err := c.Tree(background, o, limit); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: Tree = %q, %v", name, dir, err)
		}
		_, release, err := c.Tree(background, o, 4<<20)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		release()
	}
	if _, _, err := c.Tree(background, archive(1), -1); err == nil || !strings.Contains(err.Error(), "negative") {
		t.Errorf("a negative limit: %v", err)
	}
	many := make([]packed, maxTreeFiles+1)
	for i := range many {
		many[i].name = fmt.Sprint(i)
	}
	o := newOrigin(0)
	o.put(zipPacked(many...))
	if dir, _, err := c.Tree(background, o, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d files: Tree = %q, %v", len(many), dir, err)
	}
	u := unpacker{ctx: background, left: 1 << 40, isDir: map[string]bool{}}
	for i := range maxTreeFiles {
		if err := u.add(fmt.Sprint(i), true, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.add("more", true, 0); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one more: %v", err)
	}
	for _, size := range []int64{-1, math.MaxInt64} {
		u := unpacker{ctx: background, left: 1 << 40, isDir: map[string]bool{}}
		if err := u.add("x", false, size); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// A zip with a wrong size of a file.
func TestTreeOfALyingZip(t *testing.T) {
	body := strings.Repeat("x", 100_000)
	for _, size := range []uint32{10, 200_000} {
		b := zipPacked(packed{name: "a", body: body})
		at := bytes.LastIndex(b, []byte("PK\x01\x02")) + 24
		b[at], b[at+1], b[at+2], b[at+3] = byte(size), byte(size>>8), byte(size>>16), 0
		c, o := newTest(t, Options{}, nil), newOrigin(0)
		o.put(b)
		if dir, _, err := c.Tree(background, o, 0); err == nil || errors.Is(err, ErrNoDisk) {
			t.Errorf("a size of %d: Tree = %q, %v", size, dir, err)
		}
	}
}

// Tree detects changes of the directory and unpacks the archive again.
func TestTreeDamage(t *testing.T) {
	writable := func(dir string) { os.Chmod(filepath.Join(dir, "a"), 0o700) }
	for name, damage := range map[string]func(dir string) error{
		"removed": func(dir string) error { writable(dir); return os.Remove(filepath.Join(dir, "a/run.sh")) },
		"added":   func(dir string) error { writable(dir); return os.WriteFile(filepath.Join(dir, "a/more"), nil, 0o600) },
		"added and times restored": func(dir string) error {
			os.Chmod(dir, 0o700)
			info, _ := os.Stat(dir)
			os.WriteFile(filepath.Join(dir, "more"), nil, 0o600)
			os.Chtimes(dir, info.ModTime(), info.ModTime())
			return os.Chmod(dir, 0o500)
		},
		"longer": func(dir string) error {
			os.Chmod(filepath.Join(dir, "top.txt"), 0o600)
			return os.WriteFile(filepath.Join(dir, "top.txt"), []byte("longer than it was"), 0o600)
		},
		"of the same size and time": func(dir string) error {
			p := filepath.Join(dir, "top.txt")
			os.Chmod(p, 0o600)
			err := rewrite(p, func([]byte) []byte { return []byte("version 9") })
			os.Chmod(p, 0o400)
			return err
		},
		"mode":                  func(dir string) error { return os.Chmod(filepath.Join(dir, "a/run.sh"), 0o400) },
		"mode of the directory": func(dir string) error { return os.Chmod(dir, 0o700) },
		"replaced by a link": func(dir string) error {
			os.Chmod(dir, 0o700)
			os.Remove(filepath.Join(dir, "top.txt"))
			err := os.Symlink("a/run.sh", filepath.Join(dir, "top.txt"))
			os.Chmod(dir, 0o500)
			return err
		},
		"a directory replaced by a link": func(dir string) error {
			os.Chmod(dir, 0o700)
			err := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "c"))
			os.Symlink("c", filepath.Join(dir, "a"))
			os.Chmod(dir, 0o500)
			return err
		},
		"all removed":        func(dir string) error { return opened(dir, os.RemoveAll) },
		"replaced by a file": func(dir string) error { opened(dir, os.RemoveAll); return os.WriteFile(dir, nil, 0o600) },
		"replaced by a link to a copy": func(dir string) error {
			os.Rename(dir, dir+"x")
			return os.Symlink(filepath.Base(dir)+"x", dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, o := newTest(t, Options{MaxAge: time.Minute}, nil), archive(1)
			dir, release := c.wantTree(o, 1)
			release()
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			for _, c := range []*testCache{c, c.restart(nil)} {
				again, release := c.wantTree(o, 1)
				release()
				if again == dir {
					t.Error("the damaged tree was returned")
				}
			}
			if n := o.requests(); n != 1 {
				t.Errorf("%d requests: the archive was there", n)
			}
			if len(c.trees()) > 1 && name != "replaced by a link to a copy" {
				t.Errorf("left %v", c.trees())
			}
		})
	}
}

// opened runs do with all directories writable.
func opened(dir string, do func(string) error) error {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return do(dir)
}

// A corrupt manifest is a miss.
func TestTreeOfADamagedManifest(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), archive(1)
	_, release := c.wantTree(o, 1)
	release()
	for _, p := range c.dataFiles() {
		b, _ := os.ReadFile(p)
		if bytes.HasPrefix(b, []byte("warmcache tree")) {
			b[len(b)/2] ^= 1
			os.Chmod(p, 0o600)
			if err := os.WriteFile(p, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c = c.restart(nil)
	_, release = c.wantTree(o, 1)
	release()
}

// A tree counts with its full size, and is evicted as a whole unless it is in use.
func TestTreeIsEvicted(t *testing.T) {
	const max = 3 << 20
	c, o := newTest(t, Options{MaxAge: Immutable, MaxBytes: max}, nil), archive(1)
	dir, release := c.wantTree(o, 1)
	c.store.TestSweep()
	before := c.usage().Used
	if before < 7*4096 {
		t.Errorf("%d bytes are counted", before)
	}
	for i, x := range objects(100, 50_000) {
		c.clocks.Move(time.Minute, time.Minute)
		where := c
		if i%2 == 0 {
			where = c.restart(nil)
		}
		where.want(x)
	}
	if got, err := treeFiles(dir); err != nil || !maps.Equal(got, wantFiles(1)) {
		t.Fatalf("the tree in use: %v, %v", got, err)
	}
	release()
	for _, x := range objects(200, 50_000)[100:] {
		c.clocks.Move(time.Minute, time.Minute)
		c.want(x)
	}
	if trees := c.trees(); len(trees) != 0 {
		t.Errorf("left %v", trees)
	}
	if n := diskUsage(t, c.root); n > max {
		t.Errorf("%d bytes on disk", n)
	}
	c.store.TestSweep()
	if u := c.usage(); u.Used > max || u.Reserved != 0 || u.Written != 0 || u.Files != 0 {
		t.Errorf("%+v", u)
	}
	_, release = c.wantTree(o, 1)
	release()
}

// manifestOf returns the key of the manifest of o's tree.
func manifestOf(t *testing.T, o Object) store.Key {
	t.Helper()
	id, err := derivedHere(o, fmt.Sprintf("tree-%d", DefaultTreeLimit), (&unpacking{}).unpack).ID()
	if err != nil {
		t.Fatal(err)
	}
	return store.Key(id)
}

// A tree counts at once, and is evicted together with its manifest.
func TestTreeIsEvictedWithItsManifest(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 << 20}, nil), archive(1)
	c.want(o)
	c.store.TestSweep()
	before := c.usage()
	_, release := c.wantTree(o, 1)
	with := c.usage()
	// The manifest, and four files, of which one has 10 KB, in three directories.
	if bytes, inodes := with.Used-before.Used, with.Inodes-before.Inodes; bytes < 10*4096 || inodes != 8 {
		t.Errorf("the tree counts as %d bytes, %d inodes", bytes, inodes)
	}
	key := manifestOf(t, o)
	other := c.restart(nil)
	other.store.TestSweep()
	if c.store.TestEvict(key) || other.store.TestEvict(key) {
		t.Error("a tree in use was evicted")
	}
	release()
	if !c.store.TestEvict(key) {
		t.Fatal("not evicted")
	}
	if trees := c.trees(); len(trees) != 0 {
		t.Errorf("left %v", trees)
	}
	if u := c.usage(); u != before {
		t.Errorf("%+v, before it was %+v", u, before)
	}
	if n := c.Stats().Evictions; n != 1 {
		t.Errorf("%d evictions", n)
	}
}

// The manifest does not fit on the disk that has the tree.
func TestTreeOfAManifestInMemory(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, &faultyDisk{fails: func(op string) bool { return op == "create" }}), archive(1)
	_, release := c.wantTree(o, 1)
	release()
}

// lockless is a disk without locks on directories.
type lockless struct{ osDisk }

func (d *lockless) OpenDir(name string) (disk.Subdir, error) {
	dir, err := d.osDisk.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return locklessDir{dir}, nil
}

type locklessDir struct{ disk.Subdir }

func (locklessDir) Lock(bool) error { return syscall.ENOLCK }

// Without locks, a process does not remove the trees that it uses itself.
func TestTreeWithoutLocks(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, &lockless{}), archive(1)
	dir, release := c.wantTree(o, 1)
	c.Clear()
	if got, err := treeFiles(dir); err != nil || !maps.Equal(got, wantFiles(1)) {
		t.Errorf("the tree in use: %v, %v", got, err)
	}
	release()
	c.Clear()
	if trees := c.trees(); len(trees) != 0 {
		t.Errorf("left %v", trees)
	}
}

// vanishing is a disk on which published trees cannot be found.
type vanishing struct{ osDisk }

func (d *vanishing) OpenDir(name string) (disk.Subdir, error) {
	if strings.HasPrefix(name, "t/") && !strings.HasPrefix(name, "t/"+disk.TempPrefix) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return d.osDisk.OpenDir(name)
}

// A tree that disappears repeatedly does not look like a missing object.
func TestTreeThatVanishes(t *testing.T) {
	c := newTest(t, Options{MaxAge: time.Minute}, &vanishing{})
	if dir, _, err := c.Tree(background, archive(1), 0); !errors.Is(err, ErrNoDisk) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Tree = %q, %v", dir, err)
	}
}

func diskUsage(t *testing.T, dir string) (sum int64) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			sum += (info.Size() + 4095) / 4096 * 4096
		}
		return nil
	})
	return sum
}

// A tree larger than the budget returns ErrNoDisk, and evicts nothing.
func TestTreeWithoutRoom(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable, MaxBytes: 3 << 20}, nil), newOrigin(0)
	kept := newOrigin(10)
	kept.name = "kept"
	c.want(kept)
	o.put(gzipOf(tarOf(packed{name: "large", body: strings.Repeat("x", 4<<20)})))
	if dir, _, err := c.Tree(background, o, 0); !errors.Is(err, ErrNoDisk) {
		t.Errorf("Tree = %q, %v", dir, err)
	}
	if trees := c.trees(); len(trees) != 0 {
		t.Errorf("left %v", trees)
	}
	kept.requests()
	c.want(kept)
	if n := kept.requests(); n != 0 {
		t.Error("it evicted another copy")
	}
}

func TestTreeWithoutADisk(t *testing.T) {
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	if dir, _, err := c.Tree(background, archive(1), 0); !errors.Is(err, ErrNoDisk) || errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Tree = %q, %v", dir, err)
	}
	c.Close()
	if _, _, err := c.Tree(background, archive(1), 0); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if _, _, err := c.Tree(background, nil, 0); err == nil {
		t.Error("a tree of no Object")
	}
}

// Each operation on the disk fails once, and then with all that follow: the tree is
// right, or the error is ErrNoDisk.
func TestEveryFaultOfTheDiskUnderATree(t *testing.T) {
	life := func(d *faultyDisk) {
		c := newTest(t, Options{MaxAge: time.Minute}, d)
		for version := range 2 {
			o := archive(version)
			for range 2 {
				dir, release, err := c.Tree(background, o, 0)
				if errors.Is(err, ErrNoDisk) && !errors.Is(err, fs.ErrNotExist) && d.from > 0 {
					continue
				}
				if err != nil {
					t.Fatalf("Tree: %v", err)
				}
				if got, err := treeFiles(dir); err != nil || !maps.Equal(got, wantFiles(version)) {
					t.Errorf("the tree of version %d: %v, %v", version, got, err)
				}
				release()
			}
			c.clocks.Move(time.Minute, time.Minute)
			c = c.restart(d)
		}
		if u := c.usage(); u.Reserved != 0 || u.Written != 0 || u.Files != 0 {
			t.Errorf("%+v", u)
		}
	}
	all := &faultyDisk{}
	life(all)
	for _, errno := range []error{syscall.ENOSPC, syscall.EIO, fs.ErrNotExist} {
		for n := 1; n <= all.count; n++ {
			for _, to := range []int{n, 0} {
				d := &faultyDisk{from: n, to: to, err: errno}
				life(d)
				if t.Failed() {
					t.Fatalf("operation %d (%s) to %d: %v", n, d.last, to, errno)
				}
			}
		}
	}
}

// Two processes unpack an archive once.
func TestTreeIsMadeOnceForSeveralProcesses(t *testing.T) {
	if !disk.CanLock {
		t.Skip("no locks here")
	}
	o := archive(1)
	dir := t.TempDir()
	var caches []*testCache
	for range 4 {
		c := newTest(t, Options{Dir: dir, MaxAge: time.Minute}, nil)
		c.lockWait = func(int64, time.Duration) time.Duration { return time.Hour }
		caches = append(caches, c)
	}
	var wg sync.WaitGroup
	found := make([]string, len(caches))
	for i, c := range caches {
		wg.Go(func() {
			var release func()
			found[i], release = c.wantTree(o, 1)
			release()
		})
	}
	wg.Wait()
	for _, p := range found {
		if p != found[0] {
			t.Errorf("several trees: %v", found)
		}
	}
	if len(caches[0].trees()) != 1 {
		t.Errorf("%v", caches[0].trees())
	}
}

// Leftovers of killed processes are removed by the walk and when a tree is made; trees
// that a live process is about to publish are not.
func TestTreeSweepsLeftovers(t *testing.T) {
	if !disk.CanLock {
		t.Skip("no locks here: leftovers go by their age")
	}
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), archive(1)
	dir, release := c.wantTree(o, 1)
	release()
	left := []string{filepath.Join(filepath.Dir(dir), ".tmp-dead"), dir[:len(dir)-16] + "0123456789abcdef"}
	leave := func() {
		for _, p := range left {
			if err := os.MkdirAll(filepath.Join(p, "sub"), 0o700); err != nil {
				t.Fatal(err)
			}
			os.WriteFile(filepath.Join(p, "sub", "file"), nil, 0o400)
			os.Chmod(filepath.Join(p, "sub"), 0o500)
		}
	}
	live, err := c.store.NewTree(store.Key{Name: "live"})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if _, err := live.Publish(); err != nil { // without an entry that refers to it
		t.Fatal(err)
	}
	draft, err := c.store.NewTree(store.Key{Name: "draft"})
	if err != nil {
		t.Fatal(err)
	}
	defer draft.Close()
	for name, sweep := range map[string]func(){
		"another tree": func() {
			other := archive(2)
			other.name = "other"
			_, release := c.restart(nil).wantTree(other, 2)
			release()
		},
		"a walk": func() { c.restart(nil).store.TestSweep() },
		"Clear":  func() { c.restart(nil).Clear() },
	} {
		leave()
		sweep()
		for _, p := range left {
			if _, err := os.Lstat(p); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %s is left: %v", name, p, err)
			}
		}
	}
	if err := draft.Mkdir("x"); err != nil {
		t.Errorf("the live draft: %v", err)
	}
	c.Clear()
	if n := len(c.trees()); n != 2 {
		t.Errorf("there are %v, want those that are live", c.trees())
	}
}

// Forget and Clear also apply to trees.
func TestTreeIsForgotten(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), archive(1)
	_, release := c.wantTree(o, 1)
	release()
	o.put(archive(2).body)
	_, release = c.wantTree(o, 1)
	release()
	c.Forget(o)
	_, release = c.wantTree(o, 2)
	o.put(archive(3).body)
	c.Clear()
	if got, err := treeFiles(c.trees()[0]); err != nil || !maps.Equal(got, wantFiles(2)) {
		t.Errorf("the tree in use: %v, %v", got, err)
	}
	release()
	_, release = c.wantTree(o, 3)
	release()
	c.Clear()
	if trees := c.trees(); len(trees) != 0 {
		t.Errorf("left %v", trees)
	}
}

func TestTreeStaleIfError(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute, StaleIfError: time.Hour}, nil), archive(1)
	_, release := c.wantTree(o, 1)
	release()
	o.err = errOrigin
	c.clocks.Move(2*time.Minute, 2*time.Minute)
	_, release = c.wantTree(o, 1)
	release()
	c.clocks.Move(2*time.Hour, 2*time.Hour)
	if dir, _, err := c.Tree(background, o, 0); !errors.Is(err, errOrigin) {
		t.Errorf("Tree = %q, %v", dir, err)
	}
	o.err = fs.ErrNotExist
	var pe *fs.PathError
	if dir, _, err := c.Tree(background, o, 0); !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pe) || pe.Path != "test://bucket/model.bin" {
		t.Errorf("Tree = %q, %v", dir, err)
	}
}

// If the caller leaves, the unpacking ends.
func TestTreeIsCanceled(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), archive(1)
	ctx, cancel := context.WithCancel(background)
	f, err := c.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel()
	d, err := c.store.NewTree(storeKey(o))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := newUnpacker(ctx, d, 1<<20).unpack(f); !errors.Is(err, context.Canceled) {
		t.Errorf("unpack = %v", err)
	}
	if dir, _, err := c.Tree(ctx, o, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Tree = %q, %v", dir, err)
	}
	if _, err := newUnpacker(ctx, d, 1<<20).heed(strings.NewReader("x")).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("in the middle of a file: %v", err)
	}
	for _, size := range []int64{2, 4} {
		if err := d.File("x", size, false, time.Time{}, strings.NewReader("abc")); err == nil || errors.Is(err, store.ErrTree) {
			t.Errorf("3 bytes instead of %d: %v", size, err)
		}
		os.Remove(filepath.Join(c.only(c.trees()), "x"))
	}
}

// Eight readers each find a complete version, never older than when they began, while
// versions change and trees are forgotten, damaged and evicted.
func TestTreeUnderChange(t *testing.T) {
	c, o := newTest(t, Options{MaxBytes: 3 << 20}, nil), newOrigin(0)
	var mu sync.Mutex
	version := 0
	next := func() {
		mu.Lock()
		defer mu.Unlock()
		version++
		o.put(archive(version).body)
	}
	current := func() int {
		mu.Lock()
		defer mu.Unlock()
		return version
	}
	next()
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	var wg sync.WaitGroup
	for reader := range 8 {
		where := c
		if reader%2 == 1 {
			where = c.restart(nil)
		}
		wg.Go(func() {
			for i := range rounds {
				began := current()
				dir, release, err := where.Tree(background, o, 0)
				if err != nil {
					t.Errorf("Tree: %v", err)
					return
				}
				got, err := treeFiles(dir)
				var v int
				fmt.Sscanf(got["top.txt"], "version %d", &v)
				if err != nil || v < began || v > current() || !maps.Equal(got, wantFiles(v)) {
					t.Errorf("version %d of %d to %d: %v", v, began, current(), err)
				}
				release()
				switch {
				case reader == 0:
					next()
				case reader == 1 && i%5 == 0:
					where.Clear()
				case reader == 2 && i%5 == 0:
					where.Forget(o)
				case reader == 3:
					x := newOrigin(500_000)
					x.name = fmt.Sprint("other", i)
					where.want(x)
				}
			}
		})
	}
	wg.Wait()
	if u := c.usage(); u.Reserved != 0 || u.Written != 0 || u.Files != 0 {
		t.Errorf("%+v", u)
	}
	_, release := c.wantTree(o, version)
	release()
	c.store.SweepTrees() // a reader may have used the one before until now
	if n := len(c.trees()); n != 1 {
		t.Errorf("left %v", c.trees())
	}
}
