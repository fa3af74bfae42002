// Package compare measures several ways to do the same work. It reports them in tables
// for people and in JSON for bench/report. All measuring commands in bench use it, so
// they share their flags, rounds, medians and file format.
package compare

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"

	"github.com/warmcache/warmcache/internal/conditions"
)

// Report is the result of one run of a command.
type Report struct {
	Kind       string                `json:"kind"` // the command: peers, files or faults
	Conditions conditions.Conditions `json:"conditions"`
	Notes      []Note                `json:"notes,omitempty"` // how the contenders are configured
	Measures   []Measure             `json:"measures"`
	Cells      []*Cell               `json:"cells"`
	Targets    []Target              `json:"targets,omitempty"`
}

// Note describes in a sentence how a contender is used.
type Note struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Measure is one kind of work.
type Measure struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Unit   string `json:"unit,omitempty"`
	Format string `json:"format,omitempty"` // of a number, as in fmt; the default is %.4g
	Matrix string `json:"matrix,omitempty"` // measures with the same Matrix are rows of one table with that title
}

// Cell is the result of a contender in a measure: numbers or an Outcome.
type Cell struct {
	Measure string `json:"measure"`
	Name    string `json:"name"`
	Base    string `json:"base,omitempty"` // Ratio compares that contender with this one
	Note    string `json:"note,omitempty"`
	Outcome string `json:"outcome,omitempty"`

	Samples []float64 `json:"samples,omitempty"` // one per round
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`

	// Ratio is the median of the rounds' ratios of Base to this contender. RatioMin and
	// RatioMax are the least and the greatest ratio. Noise affects it less than the
	// ratio of the medians. Zero means none.
	Ratio    float64 `json:"ratio,omitempty"`
	RatioMin float64 `json:"ratio_min,omitempty"`
	RatioMax float64 `json:"ratio_max,omitempty"`
}

// Target is a number with its upper bound. GotMin and GotMax are the range over the
// rounds, or zero if unknown.
type Target struct {
	What   string  `json:"what"`
	AtMost float64 `json:"at_most"`
	Got    float64 `json:"got"`
	GotMin float64 `json:"got_min,omitempty"`
	GotMax float64 `json:"got_max,omitempty"`
}

// Text returns the number with its range, if known.
func (t Target) Text() string {
	if t.GotMin == t.GotMax {
		return fmt.Sprintf("%.3g", t.Got)
	}
	return fmt.Sprintf("%.3g (%.3g–%.3g)", t.Got, t.GotMin, t.GotMax)
}

// Verdict returns "met" or "missed".
func (t Target) Verdict() string {
	if t.Got <= t.AtMost {
		return "met"
	}
	return "missed"
}

// Contender is one way to do the work of a measure.
type Contender struct {
	Name   string
	Base   string                  // the contender to compare with; the default is the first one
	Sample func() (float64, error) // takes one sample, in the unit of the measure
}

// Run takes one sample of each contender in each round. Each round starts with the next
// contender, so a noisy minute affects all contenders.
func (r *Report) Run(m Measure, rounds int, contenders []Contender) error {
	if len(contenders) == 0 {
		return nil
	}
	r.Measures = append(r.Measures, m)
	for _, c := range contenders {
		r.Cell(m.Name, c.Name).Base = cmp.Or(c.Base, contenders[0].Name)
	}
	for round := range rounds {
		Say("%s, round %d of %d", m.Name, round+1, rounds)
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)]
			runtime.GC()
			sample, err := c.Sample()
			if err != nil {
				return fmt.Errorf("%s: %s: %w", m.Name, c.Name, err)
			}
			cell := r.Cell(m.Name, c.Name)
			cell.Samples = append(cell.Samples, sample)
		}
	}
	r.Finish(m.Name)
	return nil
}

// Find returns a cell, or nil.
func (r *Report) Find(measure, name string) *Cell {
	for _, c := range r.Cells {
		if c.Measure == measure && c.Name == name {
			return c
		}
	}
	return nil
}

// Cell returns a cell, and adds it if it is missing.
func (r *Report) Cell(measure, name string) *Cell {
	c := r.Find(measure, name)
	if c == nil {
		c = &Cell{Measure: measure, Name: name}
		r.Cells = append(r.Cells, c)
	}
	return c
}

// Of returns the cells of a measure.
func (r *Report) Of(measure string) (cells []*Cell) {
	for _, c := range r.Cells {
		if c.Measure == measure {
			cells = append(cells, c)
		}
	}
	return cells
}

// Finish computes the statistics of a measure from its samples.
func (r *Report) Finish(measure string) {
	for _, c := range r.Of(measure) {
		c.Median, c.Min, c.Max = Median(c.Samples), slices.Min(c.Samples), slices.Max(c.Samples)
		if base := r.Find(measure, c.Base); base != nil {
			c.Ratio, c.RatioMin, c.RatioMax = ratio(base, c)
		}
	}
}

// ratio returns the ratios of two cells' rounds. It is zero if a sample is zero.
func ratio(of, over *Cell) (median, least, most float64) {
	ratios := make([]float64, min(len(of.Samples), len(over.Samples)))
	for i := range ratios {
		if over.Samples[i] == 0 {
			return 0, 0, 0
		}
		ratios[i] = of.Samples[i] / over.Samples[i]
	}
	if len(ratios) == 0 {
		return 0, 0, 0
	}
	return Median(ratios), slices.Min(ratios), slices.Max(ratios)
}

// TargetRatio adds a target for the ratio of two cells, if both were measured.
func (r *Report) TargetRatio(what string, atMost float64, of, over *Cell) {
	if of == nil || over == nil {
		return
	}
	if got, least, most := ratio(of, over); got > 0 {
		r.Targets = append(r.Targets, Target{what, atMost, got, least, most})
	}
}

// TargetMedian adds a target for the median of a cell, if it was measured.
func (r *Report) TargetMedian(what string, atMost float64, of *Cell, scale float64) {
	if of != nil {
		r.Targets = append(r.Targets, Target{what, atMost, of.Median * scale, of.Min * scale, of.Max * scale})
	}
}

// Median returns the median of samples, or NaN if there are none.
func Median(samples []float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(samples))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// Percentile returns the nearest-rank percentile of sorted samples, or NaN if there are
// none.
func Percentile(sorted []float64, p int) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	return sorted[max((len(sorted)*p+99)/100, 1)-1]
}

// Say reports progress on stderr.
func Say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// WriteJSON writes v to a file, unless the name is empty.
func WriteJSON(file string, v any) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
