package filecache

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// With these variables, the test binary is one of several processes that share a
// directory. Only the room is scarce.
const (
	sharedDir  = "WARMCACHE_TEST_SHARED_DIR"
	sharedSeed = "WARMCACHE_TEST_SHARED_SEED"
	sharedOps  = "WARMCACHE_TEST_SHARED_OPERATIONS"
)

const (
	sharedKeys     = 200
	sharedSmall    = 20_000 // kept in the entry
	sharedLarge    = 100_000
	sharedMaxBytes = 4 << 20 // of 12 MB
)

func sharedOptions(dir string) Options {
	return Options{Dir: dir, MaxAge: 3 * time.Millisecond, MaxBytes: sharedMaxBytes}
}

// sharedObject changes at the origin now and then. Each process sees the versions in
// another order.
type sharedObject struct{ key, version int }

// content returns the bytes of a version. Every other object is large.
func (o sharedObject) content() []byte {
	size := sharedSmall
	if o.key%2 == 1 {
		size = sharedLarge
	}
	return randomBytes(size, uint64(2*o.key+o.version))
}

func (o sharedObject) ID() (ID, error) {
	return ID{Origin: "test://shared", Name: strconv.Itoa(o.key)}, nil
}

func (o sharedObject) Fetch(_ context.Context, req Request) (*Response, error) {
	etag := fmt.Sprintf("%q", fmt.Sprint(o.key, "-", o.version))
	if req.IfNoneMatch == etag {
		return &Response{NotModified: true}, nil
	}
	b := o.content()
	return &Response{Size: int64(len(b)), ETag: etag, Body: io.NopCloser(bytes.NewReader(b))}, nil
}

func init() { // before TestMain, which would check for leaks
	dir := os.Getenv(sharedDir)
	if dir == "" {
		return
	}
	seed, _ := strconv.ParseUint(os.Getenv(sharedSeed), 10, 64)
	ops, _ := strconv.Atoi(os.Getenv(sharedOps))
	c, r := Must(New(sharedOptions(dir))), rand.New(rand.NewPCG(seed, 3))
	for range ops {
		o := sharedObject{r.IntN(sharedKeys), r.IntN(2)}
		if r.IntN(50) == 0 {
			c.Forget(o)
		}
		b, err := c.ReadFile(background, o)
		if err != nil || !bytes.Equal(b, sharedObject{o.key, 0}.content()) && !bytes.Equal(b, sharedObject{o.key, 1}.content()) {
			fmt.Fprintf(os.Stderr, "object %d: wrong bytes, or %v\n", o.key, err)
			os.Exit(1)
		}
	}
	json.NewEncoder(os.Stdout).Encode(c.Stats())
	os.Exit(0)
}

// Several processes with too little room leave hardly any file without an entry, stay
// within the budget, and find neither damage nor a fault of the disk.
func TestProcessesWithLittleRoom(t *testing.T) {
	ops := 1200
	if os.Getenv("WARMCACHE_TEST_ALL") != "" {
		ops = 100_000
	}
	for _, n := range []int{2, 3, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { processesWithLittleRoom(t, n, ops/n) })
	}
}

func processesWithLittleRoom(t *testing.T, n, ops int) {
	dir := t.TempDir()
	c := newTest(t, sharedOptions(dir), nil)
	ends := make(chan error, n)
	stats := make([]Stats, n)
	for i := range n {
		cmd := childtest.Command()
		cmd.Env = append(os.Environ(), sharedDir+"="+dir, sharedSeed+"="+strconv.Itoa(i), sharedOps+"="+strconv.Itoa(ops))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		go func() {
			err := json.NewDecoder(bufio.NewReader(out)).Decode(&stats[i])
			if e := cmd.Wait(); e != nil {
				err = e
			}
			ends <- err
		}()
	}
	most, mostUsed, running := int64(0), int64(0), n
	for running > 0 {
		select {
		case err := <-ends:
			running--
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Millisecond):
			orphans, used := c.orphans()
			most, mostUsed = max(most, orphans), max(mostUsed, used)
		}
	}
	orphans, used := c.orphans()
	var all Stats
	for _, s := range stats {
		all.Misses += s.Misses
		all.Evictions += s.Evictions
		all.Uncached += s.Uncached
		all.Faults += s.Faults
		all.MissesBy.Damaged += s.MissesBy.Damaged
		if s.Faults > 0 {
			t.Errorf("faults: %v", s.FaultsBy)
		}
	}
	t.Logf("%d processes: %d misses, %d evictions, %d uncached; orphans at most %d, in the end %d bytes; used at most %d, in the end %d of %d",
		n, all.Misses, all.Evictions, all.Uncached, most, orphans, mostUsed, used, sharedMaxBytes)
	if all.MissesBy.Damaged > 0 || all.Faults > 0 {
		t.Errorf("%d misses because of damage, %d faults", all.MissesBy.Damaged, all.Faults)
	}
	if all.Evictions == 0 || all.Uncached > all.Misses/20 {
		t.Errorf("%d evictions; %d of %d misses were not kept", all.Evictions, all.Uncached, all.Misses)
	}
	// A file about to be published looks like an orphan for a moment.
	if most > sharedMaxBytes/20+int64(n)*onDisk(sharedLarge) {
		t.Errorf("%d bytes of orphans, of a budget of %d", most, sharedMaxBytes)
	}
	if mostUsed > sharedMaxBytes*3/2 {
		t.Errorf("%d bytes were used, of a budget of %d", mostUsed, sharedMaxBytes)
	}
	if orphans > int64(n)*onDisk(sharedLarge) {
		t.Errorf("%d bytes of orphans after %d processes", orphans, n)
	}
}

// orphans returns the disk space of data files without an entry, and of all files.
func (c *testCache) orphans() (orphans, used int64) {
	for _, p := range c.dataFiles() {
		fi, err := os.Stat(p)
		if err != nil {
			continue
		}
		name := fi.Name()
		e, err := c.store.TestRead(name[:64])
		if _, gone := os.Stat(p); gone == nil && (err != nil || e.Inline || e.Data != name) {
			orphans += (fi.Size() + 4095) / 4096 * 4096
		}
	}
	return orphans, c.diskBytes()
}
