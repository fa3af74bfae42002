package disktier

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/childtest"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("DISKTIER_TEST_DIR"); dir != "" {
		killedProcess(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var background = context.Background()

func (t *Tier) recordPath(name string) string { return filepath.Join(t.dir, recordName(name)) }

func openTier(t testing.TB, dir string) *Tier {
	t.Helper()
	tier, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return tier
}

// newCache returns the cache of a process, which counts its loads.
func newCache(tier cache.Tier, loads *atomic.Int64) *cache.Cache[string, string] {
	return cache.Must(cache.New(cache.Options[string, string]{
		Load: func(_ context.Context, key string) (string, error) {
			return fmt.Sprint(key, " v", loads.Add(1)), nil
		},
		TTL: time.Minute, Tier: tier, Namespace: "test/1", Codec: cache.JSON[string](),
	}))
}

func wantGet(t *testing.T, c *cache.Cache[string, string], key, want string) {
	t.Helper()
	if got, err := c.Get(background, key); got != want || err != nil {
		t.Errorf("Get(%q) = %q, %v; want %q", key, got, err, want)
	}
}

// killedProcess loads the keys that it does not find, prints a line, and waits to be
// killed.
func killedProcess(dir string) {
	var loads atomic.Int64
	c := newCache(Must(New(Options{Dir: dir})), &loads)
	for i := range 100 {
		c.Get(background, fmt.Sprint(i))
	}
	fmt.Println("loads", loads.Load())
	bufio.NewReader(os.Stdin).ReadByte() // ends with the parent, if nothing else does
}

// Loaded values survive the death of their process.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	for _, want := range []string{"loads 100\n", "loads 0\n"} {
		cmd := childtest.Command()
		cmd.Env = append(os.Environ(), "DISKTIER_TEST_DIR="+dir)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		cmd.Process.Kill()
		cmd.Wait()
		if line != want || err != nil {
			t.Errorf("the process said %q, %v; want %q", line, err, want)
		}
	}
}

// A Delete ends the records of all processes, and those of their loads in flight.
func TestDeleteIsFinal(t *testing.T) {
	dir := t.TempDir()
	a, b := openTier(t, dir), openTier(t, dir)
	none := func([]byte) bool { return false }
	lease, err := a.Get(background, "n", none)
	if err != nil || lease == "" {
		t.Fatal(lease, err)
	}
	set := func() {
		t.Helper()
		if err := a.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: []byte("old"), TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	found := func() (n int) {
		t.Helper()
		for _, tier := range []*Tier{a, b} {
			if _, err := tier.Get(background, "n", func([]byte) bool { n++; return true }); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	set()
	if found() != 2 {
		t.Error("not kept")
	}
	if err := b.Delete(background, "n"); err != nil {
		t.Fatal(err)
	}
	if found() != 0 {
		t.Error("found after Delete")
	}
	set()
	if found() != 0 {
		t.Error("restored by an older load")
	}
	// No record comes back when the epochs begin anew.
	if err := os.Remove(filepath.Join(a.dir, epochFile)); err != nil {
		t.Fatal(err)
	}
	if found() != 0 {
		t.Error("restored by new epochs")
	}
	set()
	if found() != 0 {
		t.Error("set under new epochs")
	}
}

// The same holds for concurrent processes.
func TestDeleteIsFinalAtOnce(t *testing.T) {
	dir := t.TempDir()
	var version atomic.Int64 // of the database
	var wg sync.WaitGroup
	var hits atomic.Int64
	for range 4 {
		tier := openTier(t, dir)
		wg.Go(func() {
			for range 500 {
				var least int64
				if rand.IntN(4) == 0 {
					least = version.Add(1)
					if err := tier.Delete(background, "n"); err != nil {
						t.Error(err)
					}
				}
				got := int64(-1)
				lease, err := tier.Get(background, "n", func(b []byte) bool {
					_, err := fmt.Sscan(string(b), &got)
					return err == nil
				})
				if err != nil {
					t.Error(err)
				}
				if got >= 0 {
					hits.Add(1)
					if got < least {
						t.Errorf("got version %d after the Delete of those before %d", got, least)
					}
					continue
				}
				loaded := version.Load()
				if err := tier.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: fmt.Append(nil, loaded), TTL: time.Hour}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if hits.Load() == 0 {
		t.Error("nothing was found")
	}
}

// No fault of the directory is the caller's error, and the Tier recovers from each.
func TestHostileDirectory(t *testing.T) {
	write := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, name)) // it cannot be written to
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	record := recordName("test/1:k")
	for name, tt := range map[string]struct {
		befall func(*testing.T, string)
		mends  bool
	}{
		"wiped":           {func(t *testing.T, dir string) { os.RemoveAll(dir) }, true},
		"record is empty": {write(record, ""), true},
		"record is junk":  {write(record, strings.Repeat("x", 1000)), true},
		"epochs are cut":  {write(epochFile, "x"), true},
		"epochs are long": {write(epochFile, strings.Repeat("x", epochsSize+1)), true},
		"record is a directory": {func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, record))
			os.MkdirAll(filepath.Join(dir, record, "deep"), 0o700)
		}, true},
		"epochs are a directory": {func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, epochFile))
			os.MkdirAll(filepath.Join(dir, epochFile, "deep"), 0o700)
		}, true},
		"record is a link": {func(t *testing.T, dir string) {
			os.Rename(filepath.Join(dir, record), filepath.Join(dir, "moved"))
			os.Symlink(filepath.Join(dir, "moved"), filepath.Join(dir, record))
		}, true},
		"epochs are a link": {func(t *testing.T, dir string) {
			os.Rename(filepath.Join(dir, epochFile), filepath.Join(dir, "moved"))
			os.Symlink(filepath.Join(dir, "moved"), filepath.Join(dir, epochFile))
		}, true},
		"a file": {func(t *testing.T, dir string) {
			os.RemoveAll(dir)
			os.WriteFile(dir, nil, 0o600)
		}, false},
		"open to others": {func(t *testing.T, dir string) { os.Chmod(dir, 0o777) }, false},
		"a link": {func(t *testing.T, dir string) {
			os.Rename(dir, dir+"2")
			if err := os.Symlink(dir+"2", dir); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var loads atomic.Int64
			tier := openTier(t, t.TempDir())
			wantGet(t, newCache(tier, &loads), "k", "k v1")
			tt.befall(t, tier.dir)
			c := newCache(tier, &loads)
			wantGet(t, c, "k", "k v2")
			if !tt.mends {
				if c.Stats().TierErrors == 0 || c.Invalidate(background, "k") == nil {
					t.Errorf("not counted: %+v", c.Stats())
				}
				return
			}
			c = newCache(tier, &loads)
			c.Get(background, "k")
			wantGet(t, newCache(tier, &loads), "k", fmt.Sprint("k v", loads.Load()))
		})
	}
}

// A damaged file is a miss, with damage at any position.
func TestDamagedFile(t *testing.T) {
	var loads atomic.Int64
	tier := openTier(t, t.TempDir())
	wantGet(t, newCache(tier, &loads), "k", "k v1")
	good, err := os.ReadFile(tier.recordPath("test/1:k"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		for _, b := range [][]byte{bad, good[:i]} {
			os.Remove(tier.recordPath("test/1:k")) // it cannot be written to
			if err := os.WriteFile(tier.recordPath("test/1:k"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			n := loads.Load()
			newCache(tier, &loads).Get(background, "k")
			if loads.Load() != n+1 {
				t.Errorf("used with damage at %d, %d bytes", i, len(b))
			}
		}
	}
}

// A file is not used when either clock says that it is too old, or when the wall clock,
// by which the cache continues its age, has lost time since.
func TestClocks(t *testing.T) {
	for _, tt := range []struct {
		name       string
		wall, mono time.Duration
		reboot     bool
		found      bool
	}{
		{"at once", 0, 0, false, true},
		{"just in time", time.Minute - 1, time.Minute - 1, false, true},
		{"too old", time.Minute, time.Minute, false, false},
		{"paused, and the monotonic clock stood still", 50 * time.Second, 0, false, true},
		{"wall clock stood still", 0, 50 * time.Second, false, false},
		{"wall clock ran back", -time.Second, time.Second, false, false},
		{"wall clock ran slow", 10 * time.Second, 10*time.Second + maxClockGap + 1, false, false},
		{"monotonic clock ran back", time.Second, -time.Second, false, false},
		{"another boot", time.Second, -time.Second, true, true},
		{"another boot, and the wall clock ran back", -time.Second, -time.Second, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clocks, tier := clocktest.New(), openTier(t, t.TempDir())
			clocks.Move(0, time.Hour)
			id := [16]byte{1}
			tier.clock = clocks.Clock()
			tier.boot = func() ([16]byte, int64) { return id, clocks.Now().Mono }
			lease, _ := tier.Get(background, "n", nil)
			if err := tier.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: []byte("x"), TTL: time.Minute}); err != nil {
				t.Fatal(err)
			}
			clocks.Move(tt.wall, tt.mono)
			if tt.reboot {
				id[0]++
			}
			found := false
			tier.Get(background, "n", func([]byte) bool { found = true; return true })
			if found != tt.found {
				t.Errorf("found: %v", found)
			}
		})
	}
}

// Similar names do not share a slot more often than others.
func TestSlots(t *testing.T) {
	taken := map[int64]bool{}
	for i := range 1000 {
		taken[slot(fmt.Sprintf("shop/product/1:%04d", i))] = true
	}
	if len(taken) < 950 {
		t.Errorf("1000 names have %d slots", len(taken))
	}
}

// A small file takes a page of the disk as well.
func TestBudgetOfSmallFiles(t *testing.T) {
	tier := openTier(t, t.TempDir())
	tier.maxBytes = 100 << 12
	for i := range 300 {
		name := fmt.Sprint(i)
		lease, err := tier.Get(background, name, nil)
		if err == nil {
			err = tier.Set(background, cache.TierRecord{Name: name, Lease: lease, Record: []byte("r"), TTL: time.Hour})
		}
		if err != nil {
			t.Fatal(err)
		}
		if files, err := tier.list(); len(files) > 100 || err != nil {
			t.Fatalf("%d files, %v", len(files), err)
		}
	}
}

func TestBudget(t *testing.T) {
	tier := openTier(t, t.TempDir())
	tier.maxBytes = 400_000
	set := func(tier *Tier, name string, size int) {
		t.Helper()
		lease, err := tier.Get(background, name, nil)
		if err == nil {
			err = tier.Set(background, cache.TierRecord{Name: name, Lease: lease, Record: make([]byte, size), TTL: time.Hour})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	size := func() (n int64) {
		files, err := tier.list()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			n += f.size
		}
		return n
	}
	for i := range 300 {
		set(tier, fmt.Sprint(i), 4000)
		if i == 60 { // as if "5" had been set last
			if err := os.Chtimes(tier.recordPath("5"), time.Time{}, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if n := size(); n > tier.maxBytes {
			t.Fatalf("%d bytes after %d", n, i)
		}
	}
	if n := size(); n < tier.maxBytes/2 {
		t.Errorf("only %d bytes are left", n)
	}
	for name, kept := range map[string]bool{"5": true, "299": true, "0": false, "60": false} {
		if _, err := os.Stat(tier.recordPath(name)); (err == nil) != kept {
			t.Errorf("%s: %v", name, err)
		}
	}
	set(tier, "large", 50_000)
	if _, err := os.Stat(tier.recordPath("large")); err == nil {
		t.Error("a large one was kept")
	}

	// The next process finds the records, and removes files that are incomplete.
	old := filepath.Join(tier.dir, disk.TempPrefix+"old")
	os.WriteFile(old, nil, 0o600)
	os.Chtimes(old, time.Time{}, time.Now().Add(-time.Hour))
	again := newTier(tier.dir, tier.maxBytes, tier.clock, disk.New(tier.dir))
	set(again, "x", 10)
	if _, err := os.Stat(old); err == nil {
		t.Error("the temporary file of a killed process is still there")
	}
	if again.used < tier.maxBytes/2 {
		t.Errorf("it counts %d bytes", again.used)
	}
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{MaxBytes: -1}); err == nil {
		t.Error("a negative budget")
	}
	if tier := openTier(t, ""); !strings.HasPrefix(tier.dir, os.TempDir()) || tier.maxBytes != DefaultMaxBytes {
		t.Errorf("%+v", tier)
	}
}
