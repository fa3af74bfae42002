package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

func newStore(t *testing.T, maxBytes int64) (*Store, string) {
	t.Helper()
	dir := DefaultPath(t.TempDir())
	return New(disk.New(dir), Limits{MaxBytes: maxBytes}, clocktest.New().Clock()), dir
}

// put publishes a copy of size bytes, and reports whether there was room.
func put(t *testing.T, s *Store, name string, size int) bool {
	t.Helper()
	room, err := publish(t, s, name, size)
	if err != nil {
		t.Fatal(err)
	}
	return room
}

// publish publishes a copy of size bytes if there is room.
func publish(t *testing.T, s *Store, name string, size int) (room bool, err error) {
	t.Helper()
	d := s.Create(int64(size))
	if d == nil {
		return false, nil
	}
	defer d.Close()
	b, sum := make([]byte, size), blocks.NewDigest(int64(size), nil)
	if _, err := d.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	sum.Write(b)
	_, err = d.Publish(Meta{Key: Key{Name: name}, ETag: `"1"`, Size: int64(size)}, sum, Validation{At: s.clock.Now()}, func() bool { return false })
	return true, err
}

// taken returns the room of the files on disk.
func taken(t *testing.T, dir string) (r room) {
	t.Helper()
	for _, sub := range []string{entryDir, dataDir} {
		names, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, n := range names {
			info, err := n.Info()
			if err != nil {
				t.Fatal(err)
			}
			r = r.plus(room{pages(info.Size()), 1})
		}
	}
	return r
}

// However walks and changes by this process interleave, the sum equals the room on disk
// after each complete round.
func TestSumIsThatOfTheDisk(t *testing.T) {
	for seed := range uint64(4) {
		s, dir := newStore(t, 60*roomFor(50_000).bytes)
		r := rand.New(rand.NewPCG(seed, 1))
		rounds := 0
		for i := range 400 {
			key := strconv.Itoa(r.IntN(90))
			switch r.IntN(8) {
			case 0:
				s.Invalidate(Key{Name: key})
			case 1, 2:
				s.budget.mu.Lock()
				if err := s.budget.step(1); err != nil {
					t.Fatal(err)
				}
				s.budget.mu.Unlock()
			default:
				if !put(t, s, key, 1+r.IntN(2*maxSmall)) {
					t.Fatalf("seed %d, operation %d: put found no room", seed, i)
				}
			}
			got, want := s.budget.known.room(), taken(t, dir)
			if s.budget.known == nil {
				continue
			}
			rounds = s.budget.rounds
			if got != want {
				t.Fatalf("seed %d, operation %d: the sum is %v, the files on disk take %v", seed, i, got, want)
			}
			if want.bytes > s.budget.max {
				t.Fatalf("seed %d, operation %d: %d bytes on disk, the budget is %d", seed, i, want.bytes, s.budget.max)
			}
		}
		if rounds < 3 {
			t.Errorf("seed %d: %d rounds", seed, rounds)
		}
	}
}

// A walk meets all files even if the directory is much larger than a step. It yields the
// least recently used entries in order.
func TestWalkFindsTheOldest(t *testing.T) {
	s, dir := newStore(t, 1<<30)
	const n = 2 * poolSize
	if !put(t, s, "first", 100) {
		t.Fatal("no room")
	}
	now := time.Now()
	for i := range n { // entries of objects that are never read
		p := filepath.Join(dir, entryDir, Key{Name: fmt.Sprint(i)}.entryName())
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := now.Add(time.Duration(i-n) * time.Second)
		if err := os.Chtimes(p, at, at); err != nil {
			t.Fatal(err)
		}
	}
	b := &s.budget
	steps := 0
	for start := b.rounds; b.rounds < start+2; steps++ {
		if err := b.step(minStep); err != nil {
			t.Fatal(err)
		}
	}
	if steps < n/minStep {
		t.Errorf("two rounds took %d steps", steps)
	}
	for i := range poolSize {
		c, ok := b.pool.take()
		if want := (Key{Name: fmt.Sprint(i)}).entryName(); !ok || c.name != want {
			t.Fatalf("candidate %d is %v, want %s", i, c, want)
		}
	}
}

// The pool keeps the oldest candidates, independent of the order of the offers.
func TestPool(t *testing.T) {
	var p pool
	r := rand.New(rand.NewPCG(1, 1))
	for _, i := range r.Perm(4 * poolSize) {
		p.offer(candidate{name: fmt.Sprintf("%064d", i), used: int64(i)})
		p.offer(candidate{name: fmt.Sprintf("%064d", i), used: int64(i)}) // again
	}
	for i := range poolSize {
		if c, ok := p.take(); !ok || c.used != int64(i) {
			t.Fatalf("candidate %d is %v", i, c)
		}
	}
	if _, ok := p.take(); ok {
		t.Error("the pool kept more than poolSize candidates")
	}
}

func TestSizeInName(t *testing.T) {
	entry := strings.Repeat("0a", 32)
	for name, want := range map[string]int64{
		dataName(entry, 12345, 7):                                12345,
		dataName(entry, 0, 7):                                    0,
		entry + "-99999999999999999999999999-0000000000000007":   0,
		entry + "-" + fmt.Sprint(int64(1)<<62) + "-000000000007": 0,
		"x": 0,
	} {
		if got := sizeInName(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
