package fleet

import (
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	_ "gonum.org/v1/plot/vg/vgimg" // PNG
	_ "gonum.org/v1/plot/vg/vgsvg" // SVG
)

// A Plot is a picture of a part of a Report.
type Plot struct {
	Name  string // of its file, without an extension
	Title string
	Plot  *plot.Plot // without its title
}

// Plots returns the pictures of r.
func (r *Report) Plots() ([]Plot, error) {
	var plots []Plot
	for _, p := range []struct {
		name, title string
		draw        func() (*plot.Plot, error)
	}{
		{"fleet-hits", "Hits over arrival rate", r.plotRates},
		{"fleet-stampede", "Loads of the database: a cold fleet, and a deployment", r.plotStampede},
		{"fleet-age", "Age of the answers", r.plotAges},
	} {
		drawn, err := p.draw()
		if err != nil {
			return nil, fmt.Errorf("fleet: plot %s: %w", p.name, err)
		}
		plots = append(plots, Plot{p.name, p.title, drawn})
	}
	return plots, nil
}

const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 10 * vg.Centimeter
)

// Write writes p in a format: "svg" or "png".
func (p Plot) Write(w io.Writer, format string) error {
	to, err := p.Plot.WriterTo(plotWidth, plotHeight, format)
	if err != nil {
		return err
	}
	_, err = to.WriteTo(w)
	return err
}

// WritePlots writes each plot of r into dir, as SVG and as PNG.
func (r *Report) WritePlots(dir string) error {
	plots, err := r.Plots()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range plots {
		p.Plot.Title.Text = p.Title
		for _, format := range []string{"svg", "png"} {
			if err := p.writeFile(filepath.Join(dir, p.Name+"."+format), format); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p Plot) writeFile(name, format string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.Write(f, format); err != nil {
		return err
	}
	return f.Close()
}

// palette can be told apart by all eyes (Okabe and Ito), on white and on black.
var palette = []color.RGBA{
	{0xd5, 0x5e, 0x00, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0x00, 0x72, 0xb2, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
}

// addLine adds a line with its legend. Each has its own color and dashes.
func addLine(p *plot.Plot, i int, name string, points plotter.XYs) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color = palette[i%len(palette)]
	line.Width = vg.Points(1.5)
	if i > 0 {
		line.Dashes = []vg.Length{vg.Points(float64(8 - i)), vg.Points(1.5)}
	}
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}

func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.Legend.Top = true
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xdd}, color.Gray{0xdd}
	p.Add(grid)
	return p
}

func (r *Report) plotRates() (*plot.Plot, error) {
	p := newPlot("requests per second", "hits (%)")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min, p.Y.Max = 0, 100
	p.Legend.Left = true
	for i, ttl := range sweepTTLs {
		var points plotter.XYs
		for _, q := range r.Rates {
			if q.TTL == ttl {
				points = append(points, plotter.XY{X: q.Rate, Y: 100 * q.HitRatio})
			}
		}
		if err := addLine(p, i, "TTL "+short(ttl), points); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// plotStampede has loads of different orders of magnitude, and none at all: it shows
// one more than there are on a logarithmic scale.
func (r *Report) plotStampede() (*plot.Plot, error) {
	p := newPlot("seconds before and after the deployment", "loads per second + 1")
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	deploy := int(r.Stampede.Config.DeployAt / time.Second)
	for i, result := range r.Stampede.Results {
		var points plotter.XYs
		for s := 0; s < int(r.Stampede.Config.For/time.Second); s++ {
			loads, _ := result.between(s, s+1).peak()
			points = append(points, plotter.XY{X: float64(s - deploy), Y: float64(loads + 1)})
		}
		if err := addLine(p, i, result.Variant, points); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (r *Report) plotAges() (*plot.Plot, error) {
	p := newPlot("age (seconds)", "answers that are younger (%)")
	p.Y.Min, p.Y.Max = 0, 100
	p.Legend.Top = false
	for i, result := range r.Results {
		points := make(plotter.XYs, len(result.AgeCDF))
		for j, part := range result.AgeCDF {
			points[j] = plotter.XY{X: float64(j) / 100 * r.Config.TTL.Seconds(), Y: 100 * part}
		}
		if err := addLine(p, i, result.Variant, points); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// short leaves out the zeros that time.Duration ends in.
func short(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.String()
}
