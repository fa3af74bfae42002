package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

const subject = "warmcache"

// measures are what a page shows of the peers, in its order.
var measures = []struct{ name, title, unit string }{
	{"hit", "Hit, one goroutine", "ns"},
	{"hit-parallel", "Hit, all cores", "ns"},
	{"miss", "Miss with an instant load, context.Background", "ns"},
	{"miss-cancel", "Miss with an instant load, a context that can be cancelled", "ns"},
}

// Bars are a measure of all libraries.
type Bars struct {
	Title, Unit string
	Cells       []Cell // the fastest first
	Figure      Figure
}

func (p *Peers) bars() (all []Bars) {
	for _, m := range measures {
		b := Bars{Title: m.title, Unit: m.unit}
		for _, c := range p.Cells {
			if c.Measure == m.name {
				b.Cells = append(b.Cells, c)
			}
		}
		if b.sort(); len(b.Cells) > 0 {
			all = append(all, b)
		}
	}
	return all
}

// sort puts the fastest first.
func (b *Bars) sort() {
	slices.SortStableFunc(b.Cells, func(x, y Cell) int { return cmp.Compare(x.Median, y.Median) })
}

// plot has a bar for each library, ours in a color.
func (b Bars) plot() (*chart, error) {
	p := newChart("", "")
	p.X.Label.Text = "median, " + b.Unit
	names := make([]string, len(b.Cells))
	ours, others := make(plotter.Values, len(b.Cells)), make(plotter.Values, len(b.Cells))
	for i, c := range b.Cells {
		at := len(b.Cells) - 1 - i // the fastest on top
		names[at] = c.Library
		if strings.HasPrefix(c.Library, subject) {
			ours[at] = c.Median
		} else {
			others[at] = c.Median
		}
	}
	for _, series := range []struct {
		values plotter.Values
		color  int
	}{{ours, 0}, {others, 5}} {
		bars, err := plotter.NewBarChart(series.values, vg.Points(9))
		if err != nil {
			return nil, err
		}
		bars.Horizontal = true
		bars.Color, bars.LineStyle.Width = palette[series.color], 0
		p.Add(bars)
	}
	p.X.Min = 0
	p.NominalY(names...)
	return p, nil
}

// Trace is the hit ratios on a trace.
type Trace struct {
	Name       string
	Capacities []int
	Libraries  []string
	Ratios     map[string][]float64 // of a library, by capacity
	Figure     Figure
}

func (p *Peers) traces() (all []*Trace) {
	byName := map[string]*Trace{}
	for _, c := range p.Cells {
		name, capacity, ok := traceOf(c.Measure)
		if !ok {
			continue
		}
		t := byName[name]
		if t == nil {
			t = &Trace{Name: name, Ratios: map[string][]float64{}}
			byName[name] = t
			all = append(all, t)
		}
		if !slices.Contains(t.Capacities, capacity) {
			t.Capacities = append(t.Capacities, capacity)
		}
		if !slices.Contains(t.Libraries, c.Library) {
			t.Libraries = append(t.Libraries, c.Library)
		}
		t.Ratios[c.Library] = append(t.Ratios[c.Library], c.Median)
	}
	return all
}

// traceOf takes "ratio/web07/625" apart.
func traceOf(measure string) (name string, capacity int, ok bool) {
	rest, ok := strings.CutPrefix(measure, "ratio/")
	slash := strings.LastIndex(rest, "/")
	if !ok || slash < 0 {
		return "", 0, false
	}
	capacity, err := strconv.Atoi(rest[slash+1:])
	return rest[:slash], capacity, err == nil
}

func (t *Trace) plot() (*chart, error) {
	p := newChart("capacity, entries", "hits, %")
	p.logX()
	for i, library := range t.Libraries {
		points := make(plotter.XYs, 0, len(t.Capacities))
		for j, ratio := range t.Ratios[library] {
			points = append(points, plotter.XY{X: float64(t.Capacities[j]), Y: ratio})
		}
		if err := p.addLine(library, points, style(i)); err != nil {
			return nil, err
		}
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks(t.Capacities))
	return p, nil
}

func ticks(values []int) (ticks []plot.Tick) {
	for _, v := range values {
		ticks = append(ticks, plot.Tick{Value: float64(v), Label: fmt.Sprint(v)})
	}
	return ticks
}
