package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/compare"
)

// sampleTime is the time of a calibrated sample.
func sampleTime(f *compare.Flags) time.Duration {
	if f.Quick {
		return 10 * time.Millisecond
	}
	return 150 * time.Millisecond
}

// trial is a cache in which an operation can be timed.
type trial struct {
	pass  func() (done int) // does ops operations; done counts those that gave a value
	ops   int
	close func()
}

// The capacity and the number of keys of a measure of misses: each pass loads the
// next keys, and all have been evicted before they come again.
const (
	missCapacity = 10_000
	missKeys     = 1_000_000
	missPass     = 10_000
)

// measureTimes measures the operations that take time.
func measureTimes(_ context.Context, f *compare.Flags, r *compare.Report) error {
	w := newWorkload(resident, read)
	hits := w.hits(func(f *filled) reads { return f.hits })
	keys := sync.OnceValue(func() []string { return makeKeys(missKeys) })
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, m := range []struct {
		name, title string
		start       func(peer) *trial // nil: the library does not do it
	}{
		{"hit", "Hit: one goroutine, TTL 1 h, 10,000 resident string keys, 8,192 of them read in a fixed shuffled order", hits},
		{"hit-loader", "Hit through the method that would load", w.hits(func(f *filled) reads { return f.loads })},
		{"hit-parallel", "Hit on all cores: time over operations of all", w.trials(w.parallelHits)},
		{"many", "Bulk get of 100 resident keys, per key", w.trials(w.bulks)},
		{"miss", "Miss and instant load, coalesced: 1 M keys, capacity 10,000, context.Background", misses(context.Background(), keys)},
		{"miss-cancel", "The same with a context.WithCancel", misses(cancellable, keys)},
	} {
		if !f.Only.MatchString(m.name) {
			continue
		}
		var contenders []compare.Contender
		for _, p := range peers() {
			if x := m.start(p); x != nil {
				x.close()
				contenders = append(contenders, compare.Contender{Name: p.name, Sample: timed(func() *trial { return m.start(p) }, sampleTime(f))})
			}
		}
		if err := r.Run(compare.Measure{Name: m.name, Title: m.title, Unit: "ns", Format: "%.1f"}, f.Rounds, contenders); err != nil {
			return err
		}
	}
	return nil
}

// timed samples the time of an operation in ns, in a new cache each time, so that the
// spread includes its place in memory. The first sample calibrates the number of passes.
func timed(start func() *trial, long time.Duration) func() (float64, error) {
	passes := 0
	return func() (float64, error) {
		x := start()
		defer x.close()
		if _, err := x.time(2); err != nil { // warm up
			return 0, err
		}
		for n := 1; passes == 0; n *= 2 {
			took, err := x.time(n)
			if err != nil {
				return 0, err
			}
			if took >= long/4 {
				passes = max(1, int(long/(took/time.Duration(n))))
			}
		}
		took, err := x.time(passes)
		return float64(took) / float64(passes*x.ops), err
	}
}

func (x *trial) time(passes int) (time.Duration, error) {
	start, done := time.Now(), 0
	for range passes {
		done += x.pass()
	}
	took := time.Since(start)
	if done < passes*x.ops {
		return 0, fmt.Errorf("%d of %d operations gave a value", done, passes*x.ops)
	}
	return took, nil
}

// hits reads through one of the methods of a filled cache.
func (w *workload) hits(method func(*filled) reads) func(peer) *trial {
	return w.trials(func(f *filled) *trial {
		read := method(f)
		if read == nil {
			return nil
		}
		return &trial{ops: len(w.order), pass: func() int { return read(0, len(w.order)) }}
	})
}

// trials makes a trial of a filled cache. It is nil if p has no hits or not the method
// of the trial.
func (w *workload) trials(of func(*filled) *trial) func(peer) *trial {
	return func(p peer) *trial {
		if p.fill == nil {
			return nil
		}
		f := p.fill(w)
		x := of(f)
		if x == nil {
			f.close()
			return nil
		}
		x.close = f.close
		return x
	}
}

// parallelHits divides the operations among GOMAXPROCS goroutines, which read the
// same keys from different places on. The time of an operation is that of all
// divided by their number, as that of testing.B.RunParallel is.
func (w *workload) parallelHits(f *filled) *trial {
	const laps = 8 // so that starting goroutines does not count
	procs := runtime.GOMAXPROCS(0)
	return &trial{ops: laps * procs * read, pass: func() int {
		var done atomic.Int64
		var wg sync.WaitGroup
		for g := range procs {
			wg.Go(func() { done.Add(int64(f.hits(g*read/procs, laps*read))) })
		}
		wg.Wait()
		return int(done.Load())
	}}
}

func (w *workload) bulks(f *filled) *trial {
	if f.many == nil {
		return nil
	}
	return &trial{ops: len(w.batches) * batch, pass: func() (done int) {
		for _, keys := range w.batches {
			done += f.many(keys)
		}
		return done
	}}
}

func misses(ctx context.Context, keys func() []string) func(peer) *trial {
	return func(p peer) *trial {
		if p.load == nil {
			return nil
		}
		loads, at, v := 0, 0, &value{id: 1}
		l := p.load(missCapacity, func(context.Context, string) (*value, error) {
			loads++ // there is one caller, and no library loads in the background
			return v, nil
		})
		return &trial{ops: missPass, close: l.close, pass: func() (got int) {
			loads = 0
			for _, key := range keys()[at : at+missPass] {
				if v, err := l.load(ctx, key); err == nil && v != nil {
					got++
				}
			}
			at = (at + missPass) % missKeys
			return min(got, loads)
		}}
	}
}

// measureAllocs measures the allocations of a hit.
func measureAllocs(_ context.Context, f *compare.Flags, r *compare.Report) error {
	if !f.Only.MatchString("allocs") {
		return nil
	}
	w := newWorkload(resident, read)
	hits := w.hits(func(f *filled) reads { return f.hits })
	var contenders []compare.Contender
	for _, p := range peers() {
		if p.fill == nil {
			continue
		}
		contenders = append(contenders, compare.Contender{Name: p.name, Sample: func() (float64, error) {
			x := hits(p)
			defer x.close()
			x.pass()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			x.pass()
			runtime.ReadMemStats(&after)
			return float64(after.Mallocs-before.Mallocs) / read, nil
		}})
	}
	return r.Run(compare.Measure{Name: "allocs", Title: "Allocations of a hit", Format: "%.3f"}, min(f.Rounds, 3), contenders)
}

// measureRatios measures the share of hits, in percent, on a stream of keys by
// Zipf's law.
func measureRatios(_ context.Context, f *compare.Flags, r *compare.Report) error {
	keys := zipf()
	if f.Quick {
		keys = keys[:len(keys)/500]
	}
	for _, capacity := range []int{625, 1_200, 2_500, 10_000} {
		m := compare.Measure{Name: fmt.Sprintf("ratio/%d", capacity), Title: fmt.Sprintf("%d entries", capacity), Format: "%.2f",
			Matrix: fmt.Sprintf("Hit ratio in %%, Zipf %v over %d keys", zipfExponent, zipfKeys)}
		if !f.Only.MatchString(m.Name) {
			continue
		}
		var contenders []compare.Contender
		for _, p := range peers() {
			if p.replay == nil {
				continue
			}
			contenders = append(contenders, compare.Contender{Name: p.name, Sample: func() (float64, error) {
				return 100 * float64(p.replays(capacity, keys)) / float64(len(keys)), nil
			}})
		}
		if err := r.Run(m, 1, contenders); err != nil {
			return err
		}
	}
	return nil
}

// replays counts the hits of a cache that stores each key that it does not find.
func (p peer) replays(capacity int, keys []string) (hits int) {
	v, loads := &value{id: 1}, 0
	l := p.replay(capacity, func(context.Context, string) (*value, error) { loads++; return v, nil })
	defer l.close()
	for _, key := range keys {
		before := loads
		switch {
		case !l.get(key):
			l.set(key, v)
			if l.settle != nil {
				l.settle()
			}
		case loads == before:
			hits++
		}
	}
	return hits
}

// The stream of keys: Zipf's law over that many keys.
const (
	zipfExponent = 1.01
	zipfKeys     = 100_000
	zipfLength   = 1_000_000
	zipfSeed     = 1
)

func zipf() []string {
	names := makeKeys(zipfKeys)
	z := rand.NewZipf(rand.New(rand.NewPCG(zipfSeed, zipfSeed)), zipfExponent, 1, zipfKeys-1)
	keys := make([]string, zipfLength)
	for i := range keys {
		keys[i] = names[z.Uint64()]
	}
	return keys
}
