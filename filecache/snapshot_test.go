package filecache

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
	"github.com/warmcache/warmcache/internal/clock"
)

// With these variables, the test binary is one of several processes that were restored
// from one snapshot: they draw the same random numbers and share a directory.
const (
	snapshotDir     = "WARMCACHE_TEST_SNAPSHOT_DIR"
	snapshotVersion = "WARMCACHE_TEST_SNAPSHOT_VERSION"
	snapshotJump    = "WARMCACHE_TEST_SNAPSHOT_JUMP"
)

const (
	snapshotKeys   = 20
	snapshotRounds = 10
)

// snapshotObject has two versions of the same size. Every other key has a data file
// beside its entry.
type snapshotObject struct{ key, version int }

func (o snapshotObject) ID() (ID, error) {
	return ID{Origin: "test://snapshot", Name: strconv.Itoa(o.key)}, nil
}

func (o snapshotObject) content() []byte {
	return randomBytes([]int{20_000, 100_000}[o.key%2], uint64(2*o.key+o.version))
}

func (o snapshotObject) Fetch(_ context.Context, req Request) (*Response, error) {
	etag := fmt.Sprintf("%q", fmt.Sprint(o.key, "-", o.version))
	if req.IfNoneMatch == etag {
		return &Response{NotModified: true}, nil
	}
	b := o.content()
	return &Response{Size: int64(len(b)), ETag: etag, Body: io.NopCloser(bytes.NewReader(b))}, nil
}

func init() { // before TestMain, which would check for leaks
	dir := os.Getenv(snapshotDir)
	if dir == "" {
		return
	}
	version, _ := strconv.Atoi(os.Getenv(snapshotVersion))
	jump, _ := time.ParseDuration(os.Getenv(snapshotJump))
	numbers := rand.New(rand.NewPCG(1, 2))
	clock.TestRandom(func() uint64 { return numbers.Uint64N(4) }) // few values, since each process draws a different number of them
	began, base := time.Now(), time.Now().UnixNano()
	restored := clock.Virtual{
		Now: func() clock.Instant { // the monotonic clock stood still in between
			mono := int64(time.Since(began))
			return clock.Instant{Wall: base + int64(jump) + mono, Mono: mono}
		},
		Random: rand.New(rand.NewPCG(3, 4)).Float64,
	}
	var c *Cache
	restored.Make(func() { c = Must(New(Options{Dir: dir})) }) // MaxAge is zero: each call sends a request
	for range snapshotRounds {
		for key := range snapshotKeys {
			o := snapshotObject{key, version}
			b, err := c.ReadFile(background, o)
			if err != nil || !bytes.Equal(b, o.content()) {
				fmt.Fprintf(os.Stderr, "version %d of object %d: wrong bytes, or %v\n", version, key, err)
				os.Exit(1)
			}
		}
	}
	json.NewEncoder(os.Stdout).Encode(c.Stats())
	os.Exit(0)
}

type restoredProcess struct {
	version int
	jump    time.Duration
}

// start returns a function that waits for the process to end.
func (p restoredProcess) start(t *testing.T, dir string) (wait func() Stats) {
	t.Helper()
	cmd := childtest.Command()
	cmd.Env = append(os.Environ(), snapshotDir+"="+dir,
		snapshotVersion+"="+strconv.Itoa(p.version), snapshotJump+"="+p.jump.String())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return func() (s Stats) {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, &errs)
		}
		if err := json.Unmarshal(out.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// Two processes draw the same random numbers, and see different versions of the same
// size of an object, so they give their files the same names. Each still reads the
// bytes of its version: a name in use costs a copy.
func TestProcessesOfOneSnapshot(t *testing.T) {
	t.Run("one after the other", func(t *testing.T) {
		dir := t.TempDir()
		first := restoredProcess{version: 0}.start(t, dir)()
		if first.Misses != snapshotKeys || first.Faults != 0 {
			t.Errorf("the first: %+v", first)
		}
		second := restoredProcess{version: 1, jump: time.Hour}.start(t, dir)()
		if second.FaultsBy["EEXIST"] == 0 {
			t.Errorf("no name was drawn twice: %+v", second)
		}
		third := restoredProcess{version: 1, jump: -time.Hour}.start(t, dir)()
		if third.FaultsBy["damaged"] != 0 || second.FaultsBy["damaged"] != 0 {
			t.Errorf("damage: %+v, %+v", second.FaultsBy, third.FaultsBy)
		}
	})
	t.Run("at once", func(t *testing.T) {
		dir := t.TempDir()
		var waits []func() Stats
		for i := range 4 {
			p := restoredProcess{version: i % 2, jump: time.Duration(i) * time.Hour}
			waits = append(waits, p.start(t, dir))
		}
		for _, wait := range waits {
			wait()
		}
	})
}

// File names come from the kernel: the state of math/rand is part of a snapshot.
func TestNamesAreNotPartOfASnapshot(t *testing.T) {
	for _, dir := range []string{".", "internal/store", "internal/transfer", "../internal/disk", "../cache/disktier"} {
		for name, imports := range importsOf(t, dir) {
			for _, path := range imports {
				if strings.HasPrefix(path, "math/rand") {
					t.Errorf("%s imports %s: use clock.Random", name, path)
				}
			}
		}
	}
}
