package report

import (
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// plotRates has a line for each TTL.
func (f *Fleet) plotRates() (*chart, error) {
	p := newChart("requests a second", "hits, %")
	p.logX()
	p.Y.Min, p.Y.Max = 0, 100
	p.X.Min, p.X.Max = 1, 1
	p.legendTop, p.legendLeft = true, true
	for i, ttl := range f.ttls() {
		var points plotter.XYs
		for _, r := range f.Rates {
			if r.TTL == ttl && r.Rate > 0 {
				points = append(points, plotter.XY{X: r.Rate, Y: 100 * r.HitRatio})
			}
		}
		if err := p.addLine("TTL "+short(ttl), points, style(i)); err != nil {
			return nil, err
		}
	}
	p.X.Min, p.X.Max = decades(p.X.Min, p.X.Max)
	return p, nil
}

func (f *Fleet) ttls() (ttls []time.Duration) {
	for _, r := range f.Rates {
		if !slices.Contains(ttls, r.TTL) {
			ttls = append(ttls, r.TTL)
		}
	}
	return ttls
}

// plotStampede is the load of the database by the second, on a logarithmic axis:
// the waves are a hundred times what is between them.
func (f *Fleet) plotStampede() (*chart, error) {
	p := newChart("seconds", "loads in the second")
	p.legendTop = true
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decadeTicks{}
	p.Y.Min, p.Y.Max = 1, 10
	for i, r := range f.Stampede.Results {
		var points plotter.XYs
		for second, loads := range r.Timeline {
			points = append(points, plotter.XY{X: float64(second), Y: max(float64(loads), 1)})
		}
		if len(points) == 0 {
			continue
		}
		if err := p.addLine(r.Variant, points, style(i)); err != nil {
			return nil, err
		}
	}
	_, p.Y.Max = decades(p.Y.Min, p.Y.Max)
	return p, nil
}

// plotAges is how old the answers were.
func (f *Fleet) plotAges() (*chart, error) {
	p := newChart("age of an answer, % of the TTL", "answers that are younger, %")
	p.Y.Min, p.Y.Max = 0, 100
	for i, r := range f.Results {
		var points plotter.XYs
		for percent, part := range r.AgeCDF {
			points = append(points, plotter.XY{X: float64(percent), Y: 100 * part})
		}
		if len(points) == 0 {
			continue
		}
		if err := p.addLine(r.Variant, points, style(i)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// short leaves out the zeros: 1m0s is 1m.
func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if len(s) > len(zero) && s[len(s)-len(zero):] == zero {
			s = s[:len(s)-len(zero)+1]
		}
	}
	return s
}
