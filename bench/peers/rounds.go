package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// timed is a measure that is the time of an operation.
type timed struct {
	name  string
	start func(peer) trial  // a trial without a pass: the library does not do it
	note  func(peer) string // of what it found besides the time, if anything
}

// trial is a cache in which an operation can be timed.
type trial struct {
	pass  func(n int) error // does ops operations n times
	ops   int
	close func()
}

// The capacity and the number of keys of a measure of misses: each pass loads
// the next keys, and all have gone before they come again.
const (
	missCapacity = 10_000
	missKeys     = 1_000_000
	missPass     = 10_000
)

// timedMeasures returns all of them, with what they work on. A ctx that can be
// cancelled is one of the things that are measured.
func timedMeasures(cancellable context.Context) []timed {
	w := newWorkload(resident, read)
	keys := sync.OnceValue(func() []string { return makeKeys(missKeys) })
	return []timed{
		{"hit", hits(w, func(f filled) func(int, int) int { return f.hit }), nil},
		{"hit-loader", hits(w, func(f filled) func(int, int) int { return f.loader }), nil},
		{"hit-parallel", hitsOnAllCores(w), nil},
		{"many", bulks(w), nil},
		{"miss", misses(keys, context.Background()), nil},
		{"miss-cancel", misses(keys, cancellable), leaves},
	}
}

// measureTimes takes a sample of each library in each round.
func measureTimes(s settings, r *results) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, m := range timedMeasures(ctx) {
		libraries := selected(s, m.name, peers())
		passes := make(map[string]int) // of a sample, as calibrated in the first round
		for round := range s.rounds {
			say("%s, round %d of %d", m.name, round+1, s.rounds)
			for i := range libraries {
				p := libraries[(i+round)%len(libraries)]
				sample, err := m.sample(p, passes, s.sampleTime())
				if err != nil {
					return fmt.Errorf("%s of %s: %w", m.name, p.name, err)
				}
				if sample > 0 {
					r.add(m.name, p.name, sample)
				}
			}
		}
		r.finish(m.name)
		for _, p := range libraries {
			if c := r.find(m.name, p.name); c != nil && m.note != nil {
				c.Note = m.note(p)
			}
		}
	}
	return nil
}

func selected(s settings, measure string, from []peer) (libraries []peer) {
	for _, p := range from {
		if s.only.MatchString(measure + "/" + p.name) {
			libraries = append(libraries, p)
		}
	}
	return libraries
}

// sample returns the time of an operation in ns, in a cache that is new each
// time: where it happens to lie in memory is a part of the spread.
func (m timed) sample(p peer, passes map[string]int, long time.Duration) (float64, error) {
	runtime.GC()
	x := m.start(p)
	if x.pass == nil {
		return 0, nil
	}
	defer x.close()
	if err := x.pass(2); err != nil { // and warm up
		return 0, err
	}
	if passes[p.name] == 0 {
		n, err := calibrate(x, long)
		if err != nil {
			return 0, err
		}
		passes[p.name] = n
	}
	n := passes[p.name]
	took, err := x.time(n)
	return float64(took) / float64(n*x.ops), err
}

// calibrate returns how many passes take that long.
func calibrate(x trial, long time.Duration) (int, error) {
	for n := 1; ; n *= 2 {
		took, err := x.time(n)
		if err != nil {
			return 0, err
		}
		if took >= long/4 {
			return max(1, int(long/(took/time.Duration(n)))), nil
		}
	}
}

func (x trial) time(n int) (time.Duration, error) {
	start := time.Now()
	err := x.pass(n)
	return time.Since(start), err
}

// expect is the error of a pass that found less than there is.
func expect(found, want int) error {
	if found < want {
		return fmt.Errorf("%d of %d operations gave a value", found, want)
	}
	return nil
}

func hits(w *workload, method func(filled) func(int, int) int) func(peer) trial {
	return func(p peer) trial {
		if p.fill == nil {
			return trial{}
		}
		f := p.fill(w)
		hit := method(f)
		if hit == nil {
			f.close()
			return trial{}
		}
		return trial{ops: read, close: f.close, pass: func(n int) error {
			found := 0
			for range n {
				found += hit(0, read)
			}
			return expect(found, n*read)
		}}
	}
}

// hitsOnAllCores divides the operations among GOMAXPROCS goroutines, which read
// the same keys from different places on: a time of an operation is that of all
// divided by their number, as that of testing.B.RunParallel is.
func hitsOnAllCores(w *workload) func(peer) trial {
	return func(p peer) trial {
		if p.fill == nil {
			return trial{}
		}
		f := p.fill(w)
		procs := runtime.GOMAXPROCS(0)
		return trial{ops: procs * read, close: f.close, pass: func(n int) error {
			found := make([]int, procs)
			var wg sync.WaitGroup
			for g := range procs {
				wg.Go(func() {
					from := g * read / procs
					sum := 0
					for range n {
						sum += f.hit(from, read) + f.hit(0, from)
					}
					found[g] = sum
				})
			}
			wg.Wait()
			total := 0
			for _, n := range found {
				total += n
			}
			return expect(total, n*procs*read)
		}}
	}
}

func bulks(w *workload) func(peer) trial {
	return func(p peer) trial {
		if p.fill == nil {
			return trial{}
		}
		f := p.fill(w)
		if f.many == nil {
			f.close()
			return trial{}
		}
		ops := len(w.batches) * batch
		return trial{ops: ops, close: f.close, pass: func(n int) error {
			found := 0
			for range n {
				found += f.many(0, len(w.batches))
			}
			return expect(found, n*ops)
		}}
	}
}

func misses(keys func() []string, ctx context.Context) func(peer) trial {
	return func(p peer) trial {
		if p.load == nil {
			return trial{}
		}
		keys := keys()
		v := &value{id: 1}
		loads := 0
		l := p.load(missCapacity, func(context.Context, string) (*value, error) {
			loads++ // one caller, and no library loads behind its back
			return v, nil
		})
		at := 0
		return trial{ops: missPass, close: l.close, pass: func(n int) error {
			loads = 0
			got := 0
			for range n {
				got += l.miss(ctx, keys[at:at+missPass])
				at = (at + missPass) % missKeys
			}
			if err := expect(got, n*missPass); err != nil {
				return err
			}
			return expect(loads, n*missPass)
		}}
	}
}
