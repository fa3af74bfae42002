package main

import (
	"fmt"
	"runtime"
	"sync"
)

// capacities are the sizes of a cache that hit ratios are measured at.
var capacities = []int{625, 1_200, 2_500, 10_000}

// measureRatios measures the share of hits, in percent, on each trace and at
// each capacity. It is no time, so that several are measured at once.
func measureRatios(s settings, r *results) error {
	var libraries []peer
	for _, p := range selected(s, "ratio", peers()) {
		if p.replay != nil {
			libraries = append(libraries, p)
		}
	}
	if len(libraries) == 0 {
		return nil
	}
	all, err := traces(s)
	if err != nil {
		return err
	}
	for _, t := range all {
		say("hit ratios on %s, %d accesses", t.name, len(t.keys))
		for _, capacity := range capacities {
			name := fmt.Sprintf("ratio/%s/%d", t.name, capacity)
			for i, percent := range replayAll(libraries, capacity, t.keys) {
				r.add(name, libraries[i].name, percent)
			}
			r.finish(name)
		}
	}
	return nil
}

func replayAll(libraries []peer, capacity int, keys []int32) []float64 {
	percents := make([]float64, len(libraries))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, p := range libraries {
		slots <- struct{}{}
		wg.Go(func() {
			percents[i] = 100 * float64(p.replay(capacity, keys)) / float64(len(keys))
			<-slots
		})
	}
	wg.Wait()
	return percents
}
