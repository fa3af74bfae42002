package main

import (
	"math"
	"strings"
)

// target is what warmcache set out to reach, beside what it did.
type target struct {
	What  string  `json:"what"`
	Limit float64 `json:"limit"`
	Got   float64 `json:"got"`
	Met   bool    `json:"met"`
}

func (r *results) target(what string, limit, got float64) {
	if math.IsNaN(got) || got == 0 && !strings.Contains(what, "allocs") {
		return // not measured
	}
	r.Targets = append(r.Targets, target{what, limit, got, got <= limit})
}

// checkTargets returns those that were measured.
func checkTargets(r *results) []target {
	over := func(measure, library, toMeasure string) float64 {
		of, to := r.find(measure, subject), r.find(toMeasure, library)
		if of == nil || to == nil {
			return math.NaN()
		}
		return ratio(of, to)
	}
	r.Targets = nil
	r.target("hit, one goroutine, over go-cache", 1.0, over("hit", "go-cache", "hit"))
	r.target("hit, one goroutine, over expirable", 0.9, over("hit", "expirable", "hit"))
	r.target("hit, one goroutine, over otter", 1.2, over("hit", "otter", "hit"))
	r.target("allocs of a hit", 0, r.medianOf("allocs"))
	r.target("hit, all cores, over otter", 1.5, over("hit-parallel", "otter", "hit-parallel"))
	r.target("GetMany of 100, per key, over otter's single hit", 0.6, over("many", "otter", "hit"))
	for _, measure := range []string{"miss", "miss-cancel"} {
		fastest := r.fastest(measure, "otter", "sturdyc", "theine", "ttlcache")
		r.target(measure+" and load, over the fastest of otter, sturdyc, theine and ttlcache ("+fastest+")", 1.0, over(measure, fastest, measure))
	}
	r.target("binary over an empty main, KB", 150, r.medianOf("binary")/1000)
	r.target("binary over a main that prints, KB", 150, r.medianOf("binary-print")/1000)
	return r.Targets
}

func (r *results) medianOf(measure string) float64 {
	if c := r.find(measure, subject); c != nil {
		return c.Median
	}
	return math.NaN()
}

func (r *results) fastest(measure string, libraries ...string) (fastest string) {
	least := math.Inf(1)
	for _, library := range libraries {
		if c := r.find(measure, library); c != nil && c.Median < least {
			fastest, least = library, c.Median
		}
	}
	return fastest
}
