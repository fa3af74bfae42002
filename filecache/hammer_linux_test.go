package filecache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/childtest"
	"github.com/warmcache/warmcache/internal/clock"
)

// With these variables, the test binary is a process that hammers a directory: with
// that seed, for that many operations.
const (
	hammerDir  = "WARMCACHE_TEST_HAMMER_DIR"
	hammerSeed = "WARMCACHE_TEST_HAMMER_SEED"
	hammerOps  = "WARMCACHE_TEST_HAMMER_OPERATIONS"
)

func init() { // before TestMain, which would check for leaks
	dir := os.Getenv(hammerDir)
	if dir == "" {
		return
	}
	seed, _ := strconv.ParseUint(os.Getenv(hammerSeed), 10, 64)
	ops, _ := strconv.Atoi(os.Getenv(hammerOps))
	h := newHammer(dir, seed)
	for i := range ops {
		if err := h.hit(); err != nil {
			fmt.Printf("operation %d: %v\n", i, err)
			os.Exit(1)
		}
		fmt.Println(i) // the parent process counts them
	}
	os.Exit(0)
}

// hammerSizes are the sizes of the objects: no block, one, some, and enough for a
// download lock.
var hammerSizes = []int{0, 1000, 70_000, blocks.MinSize + 1, 3 * blocks.MinSize, lockFrom + 5}

const hammerKeys = 18

// With hammerOptions, nearly every put evicts.
func hammerOptions(dir string) Options {
	return Options{Dir: dir, MaxAge: 2 * time.Millisecond, StaleIfError: time.Hour, MaxBytes: 2 * onDisk(lockFrom+5)}
}

// hammerObject alternates between two versions. Its name and version determine its
// bytes, so every process knows the right ones.
type hammerObject struct {
	key, version int
	fail         bool
}

func (o hammerObject) ID() (ID, error) {
	return ID{Origin: "test://hammer", Name: "object " + strconv.Itoa(o.key)}, nil
}

func (o hammerObject) body(version int) []byte {
	return randomBytes(hammerSizes[o.key%len(hammerSizes)], uint64(2*o.key+version))
}

func (o hammerObject) Fetch(ctx context.Context, req Request) (*Response, error) {
	if o.fail {
		return nil, errOrigin
	}
	b := o.body(o.version)
	etag := fmt.Sprintf("%q", fmt.Sprint(o.key, "-", o.version))
	switch {
	case req.IfMatch != "" && req.IfMatch != etag:
		return nil, ErrChanged
	case req.IfNoneMatch == etag:
		return &Response{NotModified: true}, nil
	}
	part := b[req.Offset:]
	if req.Length > 0 {
		part = part[:req.Length]
	}
	return &Response{Size: int64(len(b)), ETag: etag, Body: io.NopCloser(bytes.NewReader(part)), Checksums: sumsOf(b)[:1]}, nil
}

// right reports whether b is a version of o.
func (o hammerObject) right(b []byte) bool {
	return bytes.Equal(b, o.body(0)) || bytes.Equal(b, o.body(1))
}

type hammer struct {
	*Cache
	*rand.Rand
	values map[int]*Value[int] // by key
	object *hammerObject       // the object that the Values open now
}

func newHammer(dir string, seed uint64) hammer {
	return hammer{Must(New(hammerOptions(dir))), rand.New(rand.NewPCG(seed, 1)), map[int]*Value[int]{}, new(hammerObject)}
}

// hit performs a random operation.
func (h hammer) hit() error {
	o := hammerObject{key: h.IntN(hammerKeys), version: h.IntN(2), fail: h.IntN(8) == 0}
	if h.IntN(3) == 0 {
		return h.hashed(o)
	}
	switch h.IntN(10) {
	case 0:
		return h.Forget(o)
	case 1:
		return h.path(o)
	case 2:
		return h.slowly(o)
	case 3:
		return h.parsed(o)
	case 4:
		return h.derived(o)
	}
	return h.read(o, o)
}

// derived reads an object made from another: its bytes, reversed.
func (h hammer) derived(o hammerObject) error {
	b, err := h.ReadFile(background, Derived(o, "backwards", func(ctx context.Context, src *File, dst io.Writer) error {
		b, err := io.ReadAll(src)
		slices.Reverse(b)
		for chunk := range slices.Chunk(b, 50_000) {
			if err == nil {
				_, err = dst.Write(chunk)
			}
		}
		return err
	}))
	slices.Reverse(b)
	switch {
	case err != nil && !o.fail:
		return err
	case err == nil && !o.right(b):
		return fmt.Errorf("wrong bytes made of object %d", o.key)
	}
	return nil
}

// presentObject is the Object that it points to at the time.
type presentObject struct{ *hammerObject }

// parsed gets the Value of an object, which is its version number. Its bytes are
// verified when they are parsed.
func (h hammer) parsed(o hammerObject) error {
	*h.object = o
	v := h.values[o.key]
	if v == nil {
		v = NewValue(h.Cache, presentObject{h.object}, h.parse)
		h.values[o.key] = v
	}
	if _, err := v.Get(background); err != nil && !o.fail {
		return err
	}
	return nil
}

func (h hammer) parse(ctx context.Context, f *File) (int, error) {
	b, err := io.ReadAll(f)
	for version := range 2 {
		if err == nil && bytes.Equal(b, h.object.body(version)) {
			return version, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("wrong bytes of object %d", h.object.key)
	}
	return 0, err
}

func (h hammer) read(obj Object, o hammerObject) error {
	b, err := h.ReadFile(background, obj)
	switch {
	case err != nil && !o.fail:
		return err
	case err == nil && !o.right(b):
		return fmt.Errorf("wrong bytes of object %d", o.key)
	}
	return nil
}

// hashed reads a version with its SHA-256.
func (h hammer) hashed(o hammerObject) error {
	b, err := h.ReadFile(background, WithSHA256(o, sumOf(o.body(o.version))))
	switch {
	case err != nil && !o.fail:
		return err
	case err == nil && !bytes.Equal(b, o.body(o.version)):
		return fmt.Errorf("wrong bytes of version %d of object %d", o.version, o.key)
	}
	return nil
}

func (h hammer) path(o hammerObject) error {
	p, release, err := h.Path(background, o)
	if err != nil {
		return nil // there may be no room next to the open files
	}
	defer release()
	b, err := os.ReadFile(p)
	if err == nil && !o.right(b) {
		err = fmt.Errorf("wrong bytes in the file of object %d", o.key)
	}
	return err
}

// slowly reads a file while other processes may evict it.
func (h hammer) slowly(o hammerObject) error {
	f, err := h.Open(background, o)
	if err != nil {
		return nil // as in read
	}
	defer f.Close()
	b := make([]byte, f.Size())
	n, _ := io.ReadFull(f, b[:len(b)/2])
	if err := h.read(o, hammerObject{key: o.key, fail: true}); err != nil {
		return err
	}
	if _, err := io.ReadFull(f, b[n:]); err == nil && !o.right(b) {
		return fmt.Errorf("a mix of bytes of object %d", o.key)
	}
	return nil
}

// Several processes hammer a directory that is too small for them, and are killed and
// frozen at any moment. No process ever reads a wrong byte, and the files that they
// leave are bounded.
func TestHammer(t *testing.T) {
	rounds, ops := 6, 60
	if os.Getenv("WARMCACHE_TEST_ALL") != "" {
		rounds, ops = 20, 200
	}
	seed := uint64(1)
	if s := os.Getenv("WARMCACHE_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(seed, 2))
	for round := range rounds {
		var ps []*hammered
		for range 3 {
			ps = append(ps, startHammer(t, dir, r, ops))
		}
		for _, p := range ps {
			p.wait(t)
		}
		if t.Failed() {
			t.Fatalf("seed %d, round %d", seed, round)
		}
	}
	checkHammered(t, dir)
}

// hammered is a process that hammers. At its nth operation it is frozen until the
// others have ended, or killed, or neither.
type hammered struct {
	cmd    *exec.Cmd
	fate   syscall.Signal
	killed bool
	out    *lineCounter
}

// lineCounter calls at when the process has written n lines.
type lineCounter struct {
	n    int
	at   func()
	rest bytes.Buffer
}

func (l *lineCounter) Write(p []byte) (int, error) {
	l.rest.Write(p)
	lines := bytes.Count(p, []byte("\n"))
	if l.n > 0 && l.n <= lines {
		l.at()
	}
	l.n -= lines
	return len(p), nil
}

func startHammer(t *testing.T, dir string, r *rand.Rand, ops int) *hammered {
	t.Helper()
	p := &hammered{cmd: childtest.Command()}
	p.fate = []syscall.Signal{0, syscall.SIGKILL, syscall.SIGSTOP}[r.IntN(3)]
	p.out = &lineCounter{n: 1 + r.IntN(ops), at: func() {
		if p.fate != 0 {
			p.cmd.Process.Signal(p.fate)
		}
		p.killed = p.fate == syscall.SIGKILL
	}}
	p.cmd.Env = append(os.Environ(), hammerDir+"="+dir, hammerSeed+"="+fmt.Sprint(r.Uint64()), hammerOps+"="+strconv.Itoa(ops))
	p.cmd.Stdout = p.out
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

// wait waits for the end of the process. It thaws a frozen one now and then; until wait
// is called, that stays frozen.
func (p *hammered) wait(t *testing.T) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	for {
		select {
		case err := <-done:
			if err != nil && !p.killed {
				t.Errorf("%v: %s", err, lastLines(p.out.rest.String()))
			}
			return
		case <-time.After(100 * time.Millisecond):
			p.cmd.Process.Signal(syscall.SIGCONT)
		}
	}
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// checkHammered checks the files that the processes left, some of which were killed.
func checkHammered(t *testing.T, dir string) {
	t.Helper()
	opts := hammerOptions(dir)
	opts.MaxAge = Immutable
	opts.StaleIfError = 0
	c := newTest(t, opts, nil)
	for key := range hammerKeys {
		b, err := c.ReadFile(background, hammerObject{key: key})
		if o := (hammerObject{key: key}); err != nil || !o.right(b) {
			t.Errorf("object %d: wrong bytes, or %v", key, err)
		}
	}
	c.clocks.Move(clock.LongestInvocation+time.Minute, clock.LongestInvocation+time.Minute)
	copies, inline := c.store.TestSweep()
	if d, e := len(c.dataFiles()), len(c.entryFiles()); d != copies-inline || e != copies {
		t.Errorf("after a sweep: %d copies, %d of them one file, but %d data files and %d entries", copies, inline, d, e)
	}
	for key := range hammerKeys { // puts that evict
		c.ReadFile(background, hammerObject{key: key})
	}
	if n := c.diskBytes(); n > opts.MaxBytes {
		t.Errorf("%d bytes on disk, budget %d", n, opts.MaxBytes)
	}
	names, _ := os.ReadDir(c.root)
	for _, n := range names {
		if !strings.Contains(" d e turns ", " "+n.Name()+" ") {
			t.Errorf("left: %s", filepath.Join(c.root, n.Name()))
		}
	}
}
