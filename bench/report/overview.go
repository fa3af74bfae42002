package report

import (
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/warmcache/warmcache/bench/result"
)

// overviewStates are those that the overview shows, and how.
var overviewStates = []struct {
	state result.State
	shape string // its name in the page's keys
	glyph draw.GlyphDrawer
}{
	{result.NoCache, "box", draw.BoxGlyph{}},
	{result.Cold, "ring", draw.RingGlyph{}},
	{result.Restarted, "triangle", draw.PyramidGlyph{}},
	{result.Warm, "circle", draw.CircleGlyph{}},
}

// overview is the medians of all examples on one host: what there is to see at a
// glance.
type overview []*group

// overviewOf takes the examples that can be compared with themselves without the
// library.
func overviewOf(groups []*group, host string) (o overview) {
	for _, g := range slices.Backward(groups) { // the first at the top
		if _, ok := find(g.Rows, g.Example, g.Host, result.NoCache); ok && g.Host == host {
			o = append(o, g)
		}
	}
	return o
}

func (o overview) plot() (*chart, error) {
	p := newChart("median, ms, until the caller has the answer", " ") // a margin for the names
	p.logX()
	names := make([]string, len(o))
	for y, g := range o {
		names[y] = g.Example
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.5, float64(len(o))-0.5
	for _, s := range overviewStates {
		if err := p.addPoints(string(s.state), s.shape, o.medians(s.state), draw.GlyphStyle{
			Color: stateStyles[s.state].color, Radius: vg.Points(4.5), Shape: s.glyph,
		}); err != nil {
			return nil, err
		}
	}
	p.X.Min, p.X.Max = decades(p.X.Min, p.X.Max)
	p.legendTop = true
	return p, nil
}

func (o overview) medians(state result.State) (points plotter.XYs) {
	for y, g := range o {
		if r, ok := find(g.Rows, g.Example, g.Host, state); ok && r.P50 > 0 {
			points = append(points, plotter.XY{X: r.P50, Y: float64(y)})
		}
	}
	return points
}

func (c *chart) addPoints(name, shape string, points plotter.XYs, s draw.GlyphStyle) error {
	if len(points) == 0 {
		return nil
	}
	scatter, err := plotter.NewScatter(points)
	if err != nil {
		return err
	}
	scatter.GlyphStyle = s
	c.Add(scatter)
	c.Legend.Add(name, scatter)
	c.keys = append(c.keys, Key{Name: name, Color: hex(s.Color), Shape: shape})
	return nil
}
