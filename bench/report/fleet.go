package report

import (
	"strings"
	"time"

	"gonum.org/v1/plot/plotter"

	"github.com/warmcache/warmcache/bench/fleet"
)

// ratesPlot has a line for each TTL.
func ratesPlot(rates []fleet.Point) (*chart, error) {
	c := newChart("requests a second", "hits, %", "Hit ratio of one function and its containers over the arrival rate.")
	c.Y.Min, c.Y.Max = 0, 100
	lines := map[time.Duration]plotter.XYs{}
	for _, r := range rates {
		lines[r.TTL] = append(lines[r.TTL], plotter.XY{X: log10(r.Rate, 1e-9), Y: 100 * r.HitRatio})
	}
	for i, r := range rates {
		if i > 0 && r.TTL == rates[i-1].TTL {
			continue
		}
		if err := c.addLine("TTL "+short(r.TTL), lines[r.TTL], style(len(c.keys))); err != nil {
			return nil, err
		}
	}
	logarithmic(&c.X)
	return c, nil
}

// stampedePlot shows the load of the database by the second. Its axis is logarithmic:
// the waves are a hundred times the load between them.
func stampedePlot(s *fleet.Stampede) (*chart, error) {
	c := newChart("seconds", "loads in the second",
		"Loads of the database in each second. The fleet starts with empty caches; later all its containers are replaced at once. Zero loads are drawn as one.")
	for i, r := range s.Results {
		var points plotter.XYs
		for second, loads := range r.Timeline {
			points = append(points, plotter.XY{X: float64(second), Y: log10(float64(loads), 1)})
		}
		if err := c.addLine(r.Variant, points, style(i)); err != nil {
			return nil, err
		}
	}
	logarithmic(&c.Y)
	return c, nil
}

// short formats a duration without zeros: 1m0s is 1m.
func short(d time.Duration) string {
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(d.String())
}
