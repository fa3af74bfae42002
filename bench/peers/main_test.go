package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// small is a workload that fits into every cache, also into uneven shards.
func small() *workload { return newWorkload(1000, 800) }

func TestSetKeysAreHit(t *testing.T) {
	w := small()
	for _, p := range peers() {
		if p.fill == nil {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			f := p.fill(w)
			defer f.close()
			if got := f.len(); got != 1000 {
				t.Errorf("%d entries, want 1000", got)
			}
			for name, hit := range map[string]func(int, int) int{"hit": f.hit, "loader": f.loader} {
				if hit == nil {
					continue
				}
				if got := hit(0, 800); got != 800 {
					t.Errorf("%s: %d of 800 found", name, got)
				}
			}
			if f.many == nil {
				return
			}
			if got := f.many(0, len(w.batches)); got != 800 {
				t.Errorf("many: %d of 800 found", got)
			}
		})
	}
}

// A library that is asked for what it does not hold must not count it as found,
// else the loops measure nothing.
func TestKeysThatAreNotThereAreNotHit(t *testing.T) {
	for _, p := range peers() {
		if p.fill == nil || strings.HasPrefix(p.name, subject) { // which would load it
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			w := small()
			f := p.fill(w)
			defer f.close()
			w.order[0] = "elsewhere"
			if got := f.hit(0, 800); got != 799 {
				t.Errorf("%d found, want 799", got)
			}
		})
	}
}

func TestMissLoadsOnce(t *testing.T) {
	for _, p := range peers() {
		if p.load == nil {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			want, calls := &value{id: 7}, 0
			l := p.load(100, func(_ context.Context, key string) (*value, error) {
				if calls++; key != "key" {
					t.Errorf("load of %q", key)
				}
				return want, nil
			})
			defer l.close()
			for range 2 {
				if v, err := l.get(context.Background(), "key"); v != want || err != nil {
					t.Errorf("got %v, %v", v, err)
				}
			}
			if calls != 1 {
				t.Errorf("%d loads, want 1", calls)
			}
		})
	}
}

func TestReplayCountsHits(t *testing.T) {
	for _, p := range peers() {
		if p.replay == nil {
			continue
		}
		if got := p.replay(10, []int32{1, 2, 1, 1, 3, 2}); got != 3 {
			t.Errorf("%s: %d hits, want 3", p.name, got)
		}
	}
}

func TestLeaves(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for callers that do not come back")
	}
	if got, want := leaves(warmcacheStrings()), "every caller leaves when its ctx ends"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReadTrace(t *testing.T) {
	want := []int32{1, -1, 1 << 27, 76_349, 0}
	var plain, packed bytes.Buffer
	binary.Write(&plain, binary.BigEndian, want)
	w, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain.Bytes())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"a.trace": plain.Bytes(), "a.trace.xz": packed.Bytes()} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readTraceFile(file); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := readTrace(strings.NewReader("12345")); err == nil {
		t.Error("a trace that ends within a key is read without error")
	}
}

func TestZipfIsTheSameEachTime(t *testing.T) {
	if a, b := zipf(), zipf(); !slices.Equal(a.keys, b.keys) {
		t.Error("two generated traces differ")
	}
}

func TestParseInits(t *testing.T) {
	got := parseInits([]byte("init internal/bytealg @0.004 ms, 0 ms clock, 0 bytes, 0 allocs\n" +
		"hello\ninit errors @0.17 ms, 0.004 ms clock, 48 bytes, 3 allocs\n"))
	if want := (inits{packages: 2, bytes: 48, allocs: 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestRatioIsThatOfTheRounds(t *testing.T) {
	var r results
	for _, s := range [][2]float64{{10, 20}, {40, 80}, {30, 30}} { // a noisy machine
		r.add("hit", subject, s[0])
		r.add("hit", "other", s[1])
	}
	r.finish("hit")
	if got := r.find("hit", "other").Ratio; got != 0.5 {
		t.Errorf("%v, want 0.5", got)
	}
	if got := r.find("hit", subject).Median; got != 30 {
		t.Errorf("median %v, want 30", got)
	}
}

func TestTablePrints(t *testing.T) {
	s := settings{rounds: 1, quick: true, only: regexp.MustCompile("^(hit|many|miss|allocs|ratio)/(warmcache|otter|exact LRU)$")}
	r := results{Conditions: newConditions(s)}
	for _, measure := range []func(settings, *results) error{measureTimes, measureAllocs, measureRatios} {
		if err := measure(s, &r); err != nil {
			t.Fatal(err)
		}
	}
	r.Targets = checkTargets(&r)
	var b strings.Builder
	if err := r.print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GOMAXPROCS", "Hit: one goroutine", "  otter ", "Bulk get", "Hit ratio", "zipf-1.01, 2500", "Targets", "at most 1.2"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
}

func TestParse(t *testing.T) {
	s, err := parse([]string{"-quick", "-trace", "a", "-trace", "b", "-only", "^hit/"})
	if err != nil || s.rounds != 2 || !slices.Equal(s.traces, []string{"a", "b"}) || !s.only.MatchString("hit/otter") {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range [][]string{{"-rounds", "0"}, {"-only", "("}, {"more"}} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}
