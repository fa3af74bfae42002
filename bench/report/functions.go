package report

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/warmcache/warmcache/bench/result"
)

// stateStyles are the styles of the states, in the order of drawing: the outlines come
// after the marks that they surround.
var stateStyles = []struct {
	state result.State
	line  draw.LineStyle
	shape string // in the overview; empty if it does not show the state
	glyph draw.GlyphDrawer
}{
	{result.NoCache, draw.LineStyle{Color: gray}, "box", draw.BoxGlyph{}},
	{result.NoCacheCold, draw.LineStyle{Color: gray, Dashes: []vg.Length{7, 2}}, "square", outline(4)},
	{result.Cold, draw.LineStyle{Color: red, Dashes: []vg.Length{7, 2}}, "ring", outline(36)},
	{result.Restarted, draw.LineStyle{Color: yellow, Dashes: []vg.Length{7, 2, 2, 2}}, "triangle", draw.PyramidGlyph{}},
	{result.Warm, draw.LineStyle{Color: green}, "circle", draw.CircleGlyph{}},
	{result.Thawed, draw.LineStyle{Color: blue, Dashes: []vg.Length{2, 2}}, "", nil},
}

// outline is a polygon with that many corners, which is visible around a smaller mark.
// The outlines of package draw are hairlines.
type outline int

// DrawGlyph implements draw.GlyphDrawer.
func (corners outline) DrawGlyph(c *draw.Canvas, s draw.GlyphStyle, at vg.Point) {
	c.SetLineStyle(draw.LineStyle{Color: s.Color, Width: vg.Points(1.8)})
	var p vg.Path
	p.Move(corners.corner(0, s.Radius).Add(at))
	for i := range corners {
		p.Line(corners.corner(i, s.Radius).Add(at))
	}
	p.Close()
	c.Stroke(p)
}

func (corners outline) corner(i outline, radius vg.Length) vg.Point {
	sin, cos := math.Sincos((2*float64(i) + 1) * math.Pi / float64(corners))
	return vg.Point{X: vg.Length(cos), Y: vg.Length(sin)}.Scale(radius * 1.6)
}

// latencyPlot shows how many of the invocations were answered within a time.
func latencyPlot(rows result.Rows) (*chart, error) {
	c := newChart("ms, from the call to its answer", "invocations, %",
		fmt.Sprintf("%s on %s: share of the invocations that were answered within a time. Further left is faster.", rows[0].Example, result.HostNames[rows[0].Host]))
	c.Y.Min, c.Y.Max = 0, 100
	for _, s := range stateStyles {
		s.line.Width = vg.Points(1.8)
		if err := c.addLine(string(s.state), cumulative(rows.Find(rows[0].Example, rows[0].Host, s.state).Samples), s.line); err != nil {
			return nil, err
		}
	}
	logarithmic(&c.X)
	return c, nil
}

// cumulative returns the distribution of sorted samples, in steps.
func cumulative(sorted []float64) (points plotter.XYs) {
	n := float64(len(sorted))
	for i, v := range sorted {
		v = log10(v, 0.001)
		points = append(points, plotter.XY{X: v, Y: 100 * float64(i) / n}, plotter.XY{X: v, Y: 100 * float64(i+1) / n})
	}
	return points
}

// overviewPlot shows the medians on one host of all examples that were also measured
// without the library. It returns nil if there are none.
func overviewPlot(rows result.Rows, host string) (*chart, error) {
	var names []string
	for _, g := range slices.Backward(rows.Groups()) { // the first at the top
		if g[0].Host == host && g.Find(g[0].Example, host, result.NoCache).N > 0 {
			names = append(names, g[0].Example)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	c := newChart("median, ms, from the call to its answer", " ", // a margin for the names
		"The examples on "+result.HostNames[host]+": without the library, in a new container, in a new process after a crash, and in a warm one.")
	c.NominalY(names...)
	c.Y.Min, c.Y.Max = -0.5, float64(len(names))-0.5
	for _, s := range stateStyles {
		var points plotter.XYs
		for y, name := range names {
			if r := rows.Find(name, host, s.state); r.N > 0 && s.shape != "" {
				points = append(points, plotter.XY{X: log10(*r.P50, 0.001), Y: float64(y)})
			}
		}
		if len(points) == 0 {
			continue
		}
		marks, err := plotter.NewScatter(points)
		if err != nil {
			return nil, err
		}
		marks.GlyphStyle = draw.GlyphStyle{Color: s.line.Color, Radius: vg.Points(4.5), Shape: s.glyph}
		c.Add(marks)
		c.marks.Add(string(s.state), marks)
		c.keys = append(c.keys, key{Name: string(s.state), Color: hex(s.line.Color), Shape: s.shape})
	}
	logarithmic(&c.X)
	return c, nil
}
