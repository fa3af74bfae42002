package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
)

// results is all that a run found.
type results struct {
	Conditions conditions `json:"conditions"`
	Cells      []*cell    `json:"cells"`
	measures   []measure
}

// conditions are what the figures depend on besides the contenders.
type conditions struct {
	Go         string            `json:"go"`
	Platform   string            `json:"platform"`
	CPUs       int               `json:"cpus"`
	LoadBefore string            `json:"load_before"`
	LoadAfter  string            `json:"load_after"`
	Rounds     int               `json:"rounds"`
	Libraries  map[string]string `json:"libraries"`
}

// cell is what was measured of one contender.
type cell struct {
	Measure   string    `json:"measure"`
	Contender string    `json:"contender"`
	Unit      string    `json:"unit"`
	Samples   []float64 `json:"samples"`
	Median    float64   `json:"median"`
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Ratio     float64   `json:"warmcache_over_this"` // median of the rounds' ratios
}

func newConditions(s settings) conditions {
	c := conditions{
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(),
		LoadBefore: loadAverage(), Rounds: s.rounds, Libraries: map[string]string{},
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return c
	}
	for _, m := range info.Deps {
		if strings.Contains(m.Path, "/s3") || strings.Contains(m.Path, "versitygw") {
			c.Libraries[m.Path] = m.Version
		}
	}
	return c
}

// loadAverage knows Linux only.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}

func (r *results) find(measure, contender string) *cell {
	for _, c := range r.Cells {
		if c.Measure == measure && c.Contender == contender {
			return c
		}
	}
	return nil
}

func (r *results) add(measure, contender string, sample float64) {
	c := r.find(measure, contender)
	if c == nil {
		c = &cell{Measure: measure, Contender: contender}
		r.Cells = append(r.Cells, c)
	}
	c.Samples = append(c.Samples, sample)
}

// finish computes what follows from the samples of a measure.
func (r *results) finish(m measure, contenders []contender) {
	r.measures = append(r.measures, m)
	of := r.find(m.name, contenders[0].name)
	for _, x := range contenders {
		c := r.find(m.name, x.name)
		c.Unit = m.unit
		c.Median, c.Min, c.Max = median(c.Samples), slices.Min(c.Samples), slices.Max(c.Samples)
		ratios := make([]float64, len(c.Samples))
		for i := range ratios {
			ratios[i] = of.Samples[i] / c.Samples[i]
		}
		c.Ratio = median(ratios)
	}
}

func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// print writes a table for each measure.
func (r *results) print(w io.Writer) error {
	c := r.Conditions
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %s, %d CPUs; load average before %s, after %s; %d rounds\n", c.Go, c.Platform, c.CPUs, c.LoadBefore, c.LoadAfter, c.Rounds)
	for _, m := range r.measures {
		fmt.Fprintf(t, "\n%s\n  contender\t%s\tmin-max\twarmcache/it\t\n", m.title, m.unit)
		for _, c := range r.Cells {
			if c.Measure == m.name {
				fmt.Fprintf(t, "  %s\t%.4g\t%.4g-%.4g\t%.2f\t%s\n", c.Contender, c.Median, c.Min, c.Max, c.Ratio, m.verdict(c))
			}
		}
	}
	return t.Flush()
}

// verdict says whether a target is met.
func (m measure) verdict(c *cell) string {
	switch {
	case m.limit == 0 || !slices.Contains(m.over, c.Contender):
		return ""
	case c.Ratio <= m.limit:
		return fmt.Sprintf("at most %.2f: met", m.limit)
	}
	return fmt.Sprintf("at most %.2f: missed", m.limit)
}
