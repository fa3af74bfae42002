package report

import (
	"image/color"
	"math"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/warmcache/warmcache/bench/result"
)

var stateStyles = map[result.State]struct {
	color  color.Color
	dashes []vg.Length
}{
	result.NoCache:   {gray, nil},
	result.Cold:      {red, []vg.Length{7, 2}},
	result.Restarted: {yellow, []vg.Length{7, 2, 2, 2}},
	result.Warm:      {green, nil},
	result.Thawed:    {blue, []vg.Length{2, 2}},
}

// group is an example on a host, with the rows of all its states.
type group struct {
	Example, Host string
	Rows          []result.Row
	Figure        Figure
	Speedup       float64 // of the median, no-cache over warm
}

func groups(rows []result.Row) (all []*group) {
	for _, r := range rows {
		if len(all) == 0 || all[len(all)-1].Example != r.Example || all[len(all)-1].Host != r.Host {
			all = append(all, &group{Example: r.Example, Host: r.Host})
		}
		g := all[len(all)-1]
		g.Rows = append(g.Rows, r)
	}
	for _, g := range all {
		without, _ := find(g.Rows, g.Example, g.Host, result.NoCache)
		if warm, ok := find(g.Rows, g.Example, g.Host, result.Warm); ok && warm.P50 > 0 {
			g.Speedup = without.P50 / warm.P50
		}
	}
	return all
}

// plot draws how many of the invocations were answered within a time.
func (g *group) plot() (*chart, error) {
	p := newChart("ms, until the caller has the answer", "invocations, %")
	p.logX()
	p.Y.Min, p.Y.Max = 0, 100
	for _, r := range g.Rows {
		s := stateStyles[r.State]
		if len(r.Samples) == 0 {
			continue
		}
		if err := p.addLine(string(r.State), cumulative(r.Samples), draw.LineStyle{Color: s.color, Width: vg.Points(1.8), Dashes: s.dashes}); err != nil {
			return nil, err
		}
	}
	p.X.Min, p.X.Max = decades(p.X.Min, p.X.Max)
	return p, nil
}

// cumulative is the distribution of what is sorted, in steps.
func cumulative(sorted []float64) (points plotter.XYs) {
	const least = 0.001 // a logarithm needs more than nothing
	n := float64(len(sorted))
	for i, v := range sorted {
		v = math.Max(v, least)
		points = append(points, plotter.XY{X: v, Y: 100 * float64(i) / n}, plotter.XY{X: v, Y: 100 * float64(i+1) / n})
	}
	return points
}

// decades widens a range to powers of ten, so that its axis has numbers.
func decades(low, high float64) (float64, float64) {
	return math.Pow(10, math.Floor(math.Log10(low*1.001))), math.Pow(10, math.Ceil(math.Log10(high*0.999)))
}
