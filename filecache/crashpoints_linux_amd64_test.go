package filecache

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/childtest"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// skipUnderRace skips the test under the race detector: the traced process runs one
// goroutine at a time, and starts a hundred times slower with the detector.
func skipUnderRace(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("needs hundreds of process starts, too slow with the race detector; it runs without")
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

const crashSize = blocks.MinSize + 5000

// crashScene is the action of a process while it is killed or its system calls fail.
type crashScene struct {
	name   string
	before bool   // a copy of version 1 exists
	after  uint64 // the version at the origin afterwards
	other  bool   // there is another copy, which must be evicted
	size   int
	kind   string // "derived" or "tree", for an Object made from the object
}

const pathOfSmall = "path of small"

// crashParts is the number of whole parts of an object that is received in parts.
const crashParts = 3

var crashScenes = []crashScene{
	{"put", false, 1, false, crashSize, ""},
	{"replace", true, 2, false, crashSize, ""},
	{"revalidate", true, 1, false, crashSize, ""},
	{"evict", false, 1, true, crashSize, ""},
	{"put small", false, 1, false, smallSize, ""},
	{"replace small", true, 2, false, smallSize, ""},
	{"revalidate small", true, 1, false, smallSize, ""},
	{"evict small", false, 1, true, smallSize, ""},
	{pathOfSmall, true, 1, false, smallSize, ""},
	{"put in turn", false, 1, false, lockFrom + 1, ""},
	{"put in parts", false, 1, false, crashParts*blocks.MinSize + 5000, ""}, // smaller than an object that needs the download lock
	{"derive", false, 1, false, crashSize, "derived"},
	{"derive anew", true, 2, false, crashSize, "derived"},
	{"unpack", false, 1, false, crashSize, "tree"},
	{"unpack anew", true, 2, false, crashSize, "tree"},
}

func (s crashScene) origin(version uint64) *origin {
	o := newOrigin(0)
	o.put(randomBytes(s.size, version))
	if s.kind == "tree" {
		o.put(tarOf(packed{name: "a/b", body: fmt.Sprint(version)}, packed{name: "c", mode: 0o755, body: fmt.Sprint(version)}))
	}
	return o
}

// bytes returns the bytes that read must return for a version.
func (s crashScene) bytes(version uint64) []byte {
	switch s.kind {
	case "derived":
		return twice(s.origin(version).body)
	case "tree":
		return bytes.Repeat([]byte(fmt.Sprint(version)), 2)
	}
	return s.origin(version).body
}

// read reads the object, or the one derived from it.
func (s crashScene) read(c *Cache, o *origin) ([]byte, error) {
	switch s.kind {
	case "derived":
		return c.ReadFile(background, newDoubler(o))
	case "tree":
		dir, release, err := c.Tree(background, o, 0)
		if err != nil {
			return nil, err
		}
		defer release()
		files, err := treeFiles(dir)
		return []byte(files["a/b"] + files["c"]), err
	}
	return c.ReadFile(background, o)
}

func (s crashScene) want(c *testCache, version uint64) {
	c.t.Helper()
	if got, err := s.read(c.Cache, s.origin(version)); err != nil || !bytes.Equal(got, s.bytes(version)) {
		c.t.Errorf("version %d: wrong bytes, or %v", version, err)
	}
}

func (s crashScene) options(dir string, maxAge time.Duration) Options {
	max := 4 * onDisk(int64(s.size))
	if s.other {
		max = 3 * onDisk(int64(s.size)) / 2
	}
	if s.name == pathOfSmall { // for a moment the copy is both one file and two
		max *= 2
	}
	if s.kind != "" {
		max += 2 << 20 // the step by which an object of unknown size reserves room
	}
	opts := Options{Dir: dir, MaxAge: maxAge, MaxBytes: max, Concurrency: 1}
	if s.size >= crashParts*blocks.MinSize && s.size < lockFrom {
		opts.PartSize, opts.Concurrency = blocks.MinSize, 2
	}
	return opts
}

// With this variable, the test binary is a process that plays a scene once.
const (
	crashSceneDir  = "WARMCACHE_TEST_SCENE_DIR"
	crashSceneName = "WARMCACHE_TEST_SCENE"
)

func init() { // before TestMain, which would check for leaks
	dir := os.Getenv(crashSceneDir)
	if dir == "" {
		return
	}
	for _, s := range append(crashScenes, everythingScene) {
		if s.name == os.Getenv(crashSceneName) {
			s.play(dir)
		}
	}
	os.Exit(2)
}

func (s crashScene) play(dir string) {
	if s.name == "everything" {
		playEverything(dir)
		os.Exit(0)
	}
	o := s.origin(s.after)
	c := Must(New(s.options(dir, 1)))
	if s.name == pathOfSmall {
		s.playPath(c, o)
	}
	if s.kind == "tree" { // reading its files would be traced, too
		_, release, err := c.Tree(background, o, 0)
		if err == nil {
			release()
		} else if !errors.Is(err, ErrNoDisk) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	b, err := s.read(c, o)
	if err != nil || !bytes.Equal(b, s.bytes(s.after)) {
		fmt.Fprintf(os.Stderr, "ReadFile: wrong bytes: %v, error %v\n", err == nil, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// playPath reads the file that Path makes for a small object. If the disk fails, there
// may be none.
func (s crashScene) playPath(c *Cache, o *origin) {
	path, release, err := c.Path(background, o)
	if err != nil {
		if !errors.Is(err, ErrNoDisk) {
			fmt.Fprintln(os.Stderr, "Path:", err)
			os.Exit(1)
		}
		return
	}
	defer release()
	if b, err := os.ReadFile(path); err == nil && !bytes.Equal(b, o.body) {
		fmt.Fprintln(os.Stderr, "Path: wrong bytes")
		os.Exit(1)
	}
}

// run plays the scene in its own directory, in a traced process.
func (s crashScene) run(t *testing.T, at func(n int, name string) int) (*tracer, unix.WaitStatus, string, string) {
	t.Helper()
	dir := t.TempDir()
	c := newTest(t, s.options(dir, time.Hour), nil)
	if s.before {
		s.want(c, 1)
	}
	if s.other {
		other := s.origin(9)
		other.name = "other"
		c.want(other)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := childtest.Command()
	cmd.Env = append(os.Environ(), crashSceneDir+"="+dir, crashSceneName+"="+s.name)
	cmd.Stdout, cmd.Stderr = out, out
	tr := &tracer{dir: dir, at: at}
	ws := tr.run(t, cmd)
	said, _ := os.ReadFile(out.Name())
	return tr, ws, dir, string(said)
}

// check examines the files that a process left, as the next process would.
func (s crashScene) check(t *testing.T, dir string) {
	t.Helper()
	c := newTest(t, s.options(dir, time.Hour), nil)
	referred, temps := map[string]bool{}, 0
	for _, p := range c.entryFiles() {
		if e, err := c.store.TestRead(filepath.Base(p)); err == nil {
			referred[c.dataPath(e.Data)] = !e.Inline
		} else {
			temps++
		}
	}
	orphans := 0
	for _, p := range c.dataFiles() {
		if !referred[p] {
			orphans++
		}
	}
	if orphans > 1 || temps > 1 {
		t.Errorf("left %d data files without an entry, and %d entries that cannot be read", orphans, temps)
	}
	got, err := s.read(c.Cache, s.origin(s.after))
	if err != nil || !bytes.Equal(got, s.bytes(1)) && !bytes.Equal(got, s.bytes(s.after)) {
		t.Errorf("a fresh copy: wrong bytes, or %v", err)
	}
	now := newTest(t, s.options(dir, 0), nil)
	s.want(now, s.after)
	next := s.origin(7)
	next.name = "next"
	now.want(next)
	if n, max := now.diskBytes(), now.maxBytes; n > max {
		t.Errorf("%d bytes on disk, budget %d", n, max)
	}
	late := now.restart(nil)
	late.clocks.Move(clock.LongestInvocation+time.Minute, clock.LongestInvocation+time.Minute)
	copies, inline := late.store.TestSweep()
	if d, e := len(late.dataFiles()), len(late.entryFiles()); d != copies-inline || e != copies {
		t.Errorf("after a sweep: %d copies, %d of them one file, but %d data files and %d entries", copies, inline, d, e)
	}
	if trees := late.trees(); len(trees) > 1 || len(trees) == 1 && strings.HasPrefix(filepath.Base(trees[0]), disk.TempPrefix) {
		t.Errorf("after a sweep: %v", trees)
	}
	s.want(late, s.after)
}

// A process is killed before each system call that concerns its directory.
func TestKilledAtEverySystemCall(t *testing.T) {
	skipUnderRace(t)
	for _, s := range crashScenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			step := 1
			if testing.Short() {
				step = 5
			}
			for n := 1; ; n += step {
				tr, ws, dir, said := s.run(t, func(i int, _ string) int {
					if i == n {
						return killIt
					}
					return letBe
				})
				if !ws.Signaled() && (!ws.Exited() || ws.ExitStatus() != 0) {
					t.Fatalf("call %d of %v: the process ended with %v: %s", n, tr.calls, ws, said)
				}
				s.check(t, dir)
				if t.Failed() {
					t.Fatalf("killed before call %d of %v", n, tr.calls)
				}
				if ws.Exited() {
					t.Logf("%d calls: %v", len(tr.calls), tr.calls)
					return
				}
			}
		})
	}
}

// Each system call fails once, or with all that follow: the caller never notices.
func TestEverySystemCallFails(t *testing.T) {
	skipUnderRace(t)
	for _, s := range crashScenes {
		for _, tt := range []struct {
			errno   unix.Errno
			forever bool
		}{{unix.ENOSPC, false}, {unix.EIO, false}, {unix.EDQUOT, false}, {unix.EINTR, false}, {unix.EIO, true}} {
			t.Run(fmt.Sprintf("%s, %v, forever %v", s.name, tt.errno, tt.forever), func(t *testing.T) {
				t.Parallel()
				step := 7
				if os.Getenv("WARMCACHE_TEST_ALL") != "" {
					step = 1
				}
				for n := 1; ; n += step {
					last := ""
					tr, ws, dir, said := s.run(t, func(i int, name string) int {
						if name == "close" || i < n || i > n && !tt.forever {
							return letBe
						}
						last = name
						return int(tt.errno)
					})
					if !ws.Exited() || ws.ExitStatus() != 0 {
						t.Fatalf("call %d (%s): the process ended with %#x: %s\n%v", n, last, uint32(ws), said, tr.calls)
					}
					c := newTest(t, s.options(dir, 0), nil)
					s.want(c, s.after)
					if t.Failed() {
						t.Fatalf("after call %d of %v failed", n, tr.calls)
					}
					if n > len(tr.calls) {
						return
					}
				}
			})
		}
	}
}

var everythingScene = crashScene{"everything", true, 2, true, crashSize, ""}

// playEverything performs every operation that a Cache performs in its directory.
func playEverything(dir string) {
	c := Must(New(everythingScene.options(dir, 1)))
	o := everythingScene.origin(2)
	for range 2 { // replaces, evicts, revalidates
		if _, err := c.ReadFile(background, o); err != nil {
			os.Exit(1)
		}
	}
	_, release, err := c.Path(background, o)
	if err != nil {
		os.Exit(2)
	}
	release()
	work, remove, err := c.Scratch()
	if err != nil || os.MkdirAll(filepath.Join(work, "a", "b"), 0o700) != nil || os.Chmod(filepath.Join(work, "a"), 0o500) != nil || remove() != nil {
		os.Exit(3)
	}
	if c.Forget(o) != nil {
		os.Exit(4)
	}
	c.ReadFile(background, o)
	c.Clear()
	roomy := Must(New(Options{Dir: dir}))
	for version := range uint64(2) { // unpacks, and removes the replaced tree
		_, release, err := roomy.Tree(background, crashScene{kind: "tree"}.origin(version), 0)
		if err != nil {
			os.Exit(5)
		}
		release()
	}
}

// No system call names a file below the private directory by its path, which others
// could redirect in between.
func TestNoPathBelowTheDirectory(t *testing.T) {
	skipUnderRace(t)
	tr, ws, dir, said := everythingScene.run(t, func(int, string) int { return letBe })
	if !ws.Exited() || ws.ExitStatus() != 0 {
		t.Fatalf("the process ended with %v: %s", ws, said)
	}
	root := store.DefaultPath(dir) + "/"
	work := filepath.Join(root, "s") // system calls of the test itself
	below := 0
	for _, call := range tr.absolute {
		if strings.Contains(call, root) && !strings.Contains(call, work) {
			t.Errorf("by its path: %s", call)
		}
	}
	for _, call := range tr.calls {
		if call == "unlinkat" || call == "linkat" || call == "utimensat" {
			below++
		}
	}
	if below == 0 || len(tr.absolute) == 0 {
		t.Errorf("the trace is void: %v, %v", tr.calls, tr.absolute)
	}
}
