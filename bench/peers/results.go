package main

import (
	"math"
	"slices"
)

// subject is the library that the others are compared with.
const subject = "warmcache"

// results is all that a run found.
type results struct {
	Conditions circumstances `json:"conditions"`
	Cells      []*cell       `json:"cells"`
	Targets    []target      `json:"targets"`
}

// cell is what was measured of one library.
type cell struct {
	Measure string    `json:"measure"`
	Library string    `json:"library"`
	Note    string    `json:"note,omitempty"`
	Samples []float64 `json:"samples"` // one a round
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Ratio   float64   `json:"warmcache_over_this,omitempty"` // median of the rounds' ratios
}

func (r *results) find(measure, library string) *cell {
	for _, c := range r.Cells {
		if c.Measure == measure && c.Library == library {
			return c
		}
	}
	return nil
}

// of returns the cells of a measure.
func (r *results) of(measure string) (cells []*cell) {
	for _, c := range r.Cells {
		if c.Measure == measure {
			cells = append(cells, c)
		}
	}
	return cells
}

// add appends a sample to a cell, which it makes if need be.
func (r *results) add(measure, library string, sample float64) *cell {
	c := r.find(measure, library)
	if c == nil {
		c = &cell{Measure: measure, Library: library}
		r.Cells = append(r.Cells, c)
	}
	c.Samples = append(c.Samples, sample)
	return c
}

// finish computes what follows from the samples of a measure.
func (r *results) finish(measure string) {
	of := r.find(measure, subject)
	for _, c := range r.of(measure) {
		c.Median, c.Min, c.Max = median(c.Samples), slices.Min(c.Samples), slices.Max(c.Samples)
		if of != nil {
			c.Ratio = ratio(of, c)
		}
	}
}

// ratio is the median of the rounds' ratios, which knows less of the machine's
// mood than the ratio of the medians does.
func ratio(of, to *cell) float64 {
	ratios := make([]float64, min(len(of.Samples), len(to.Samples)))
	for i := range ratios {
		if to.Samples[i] == 0 {
			return 0
		}
		ratios[i] = of.Samples[i] / to.Samples[i]
	}
	return median(ratios)
}

func median(samples []float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(samples))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}
