package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/internal/compare"
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
			for name, read := range map[string]reads{"hits": f.hits, "loads": f.loads} {
				if read == nil {
					continue
				}
				if got := read(0, 800); got != 800 {
					t.Errorf("%s: %d of 800 found", name, got)
				}
			}
			if f.many == nil {
				return
			}
			for _, keys := range w.batches {
				if got := f.many(keys); got != len(keys) {
					t.Errorf("many: %d of %d found", got, len(keys))
				}
			}
		})
	}
}

// A library that does not hold a key must not count it as found. Otherwise the
// loops would measure nothing.
func TestMissingKeysAreNotHit(t *testing.T) {
	for _, p := range peers() {
		if p.fill == nil || strings.HasPrefix(p.name, subject) || p.name == "no cache" { // which would load it
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			w := small()
			f := p.fill(w)
			defer f.close()
			w.order[0] = "elsewhere"
			if got := f.hits(0, 800); got != 799 {
				t.Errorf("%d found, want 799", got)
			}
		})
	}
}

func TestMissLoadsOnce(t *testing.T) {
	for _, p := range peers() {
		if p.load == nil || p.name == "no cache" {
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
				if v, err := l.load(context.Background(), "key"); v != want || err != nil {
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
		if got := p.replays(10, []string{"1", "2", "1", "1", "3", "2"}); got != 3 {
			t.Errorf("%s: %d hits, want 3", p.name, got)
		}
	}
}

// A pass that misses keys must not count as a fast one.
func TestMissingValuesAreAnError(t *testing.T) {
	x := &trial{ops: 2, pass: func() int { return 1 }, close: nothing}
	if _, err := x.time(3); err == nil || !strings.Contains(err.Error(), "3 of 6") {
		t.Errorf("%v", err)
	}
}

func TestZipfIsTheSameEachTime(t *testing.T) {
	if !slices.Equal(zipf(), zipf()) {
		t.Error("two generated streams differ")
	}
}

// The whole command: every measure has its contenders, and every target a figure.
func TestQuick(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peers.json")
	if err := command.Run(t.Context(), []string{"-quick", "-rounds", "1", "-json", file}, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r compare.Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	for measure, names := range map[string]string{
		"hit": "warmcache,otter,go-cache,expirable,no cache", "hit-loader": "warmcache,sturdyc", "hit-parallel": "warmcache,theine",
		"many": "warmcache,otter,sturdyc", "miss": "warmcache,ttlcache,lru.Cache + singleflight", "miss-cancel": "warmcache,otter",
		"ratio/625": "warmcache,otter,theine,exact LRU", "binary": "an empty main",
	} {
		for name := range strings.SplitSeq(names, ",") {
			if c := r.Find(measure, name); c == nil || len(c.Samples) != 1 || c.Median <= 0 {
				t.Errorf("%s: %s: %+v", measure, name, c)
			}
		}
	}
	if c := r.Find("allocs", subject); c == nil || c.Median >= 0.01 { // the runtime itself allocates now and then
		t.Errorf("allocs: %+v", c)
	}
	if len(r.Targets) != 8+1 {
		t.Errorf("%d targets: %+v", len(r.Targets), r.Targets)
	}
}

// BenchmarkMemory reports the bytes of an entry over its key and value, with those of
// the empty cache.
func BenchmarkMemory(b *testing.B) {
	const entries = 100_000
	w := newWorkload(entries, read)
	for _, p := range peers() {
		if p.fill == nil || p.name == "no cache" {
			continue
		}
		b.Run(p.name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				f := p.fill(w)
				after := heap()
				if f.len() < entries {
					b.Fatalf("%d of %d entries are resident", f.len(), entries)
				}
				f.close()
				b.ReportMetric((float64(after)-float64(before))/entries, "B/entry")
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	for range 3 { // finalizers and sync.Pools free memory later
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
