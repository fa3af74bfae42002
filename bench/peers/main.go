// Command peers measures the memory cache of warmcache beside other Go caches:
// hits, misses with a coalesced load, allocations, hit ratio, and the size that it
// adds to a program.
//
//	go run ./bench/peers                          everything, in some minutes
//	go run ./bench/peers -quick                   to see that it works
//	go run ./bench/peers -only '^(hit|allocs)$'   measures by name
package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/warmcache/warmcache/internal/compare"
)

func main() { command.Main() }

var command = compare.Command{
	Path: "peers", Rounds: 8, Quick: 2,
	Libraries: []string{"otter", "theine", "ristretto", "ttlcache", "sturdyc", "go-cache", "golang-lru", "x/sync"},
	Set: func(f *compare.Flags) string {
		return fmt.Sprintf("GOMAXPROCS %d; %d interleaved rounds of samples of %v", runtime.GOMAXPROCS(0), f.Rounds, sampleTime(f))
	},
	Measure: measureAll,
}

func measureAll(ctx context.Context, f *compare.Flags, r *compare.Report) error {
	for _, p := range peers() {
		if p.note != "" {
			r.Notes = append(r.Notes, compare.Note{Name: p.name, Text: p.note})
		}
	}
	for _, measure := range []func(context.Context, *compare.Flags, *compare.Report) error{
		measureTimes, measureAllocs, measureRatios, measureBinary,
	} {
		if err := measure(ctx, f, r); err != nil {
			return err
		}
	}
	for _, t := range []struct {
		what, measure, over, overMeasure string
		atMost                           float64
	}{
		{"hit, one goroutine, over go-cache", "hit", "go-cache", "hit", 1},
		{"hit, one goroutine, over expirable", "hit", "expirable", "hit", 0.9},
		{"hit, one goroutine, over otter", "hit", "otter", "hit", 1.2},
		{"hit, all cores, over otter", "hit-parallel", "otter", "hit-parallel", 1.5},
		{"GetMany of 100, per key, over otter's single hit", "many", "otter", "hit", 0.6},
	} {
		r.TargetRatio(t.what, t.atMost, r.Find(t.measure, subject), r.Find(t.overMeasure, t.over))
	}
	for _, measure := range []string{"miss", "miss-cancel"} {
		others := slices.DeleteFunc(r.Of(measure), func(c *compare.Cell) bool {
			return !slices.Contains([]string{"otter", "sturdyc", "theine", "ttlcache"}, c.Name)
		})
		if len(others) > 0 {
			fastest := slices.MinFunc(others, func(a, b *compare.Cell) int { return cmp.Compare(a.Median, b.Median) })
			r.TargetRatio(measure+" and load, over the fastest of otter, sturdyc, theine and ttlcache ("+fastest.Name+")", 1, r.Find(measure, subject), fastest)
		}
	}
	r.TargetMedian("allocations of a hit", 0, r.Find("allocs", subject), 1)
	for _, p := range programs {
		r.TargetMedian("KB of binary over "+p.name, 150, r.Find("binary", p.name), 1e-3)
	}
	return nil
}
