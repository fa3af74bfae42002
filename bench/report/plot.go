package report

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The size of a picture. Its text can still be read when it is shrunk to a phone.
const (
	width  = 5.2 * vg.Inch
	height = 3.1 * vg.Inch
)

// Colors that can be told apart by all eyes, on white and on near black.
var (
	gray   = color.RGBA{0x8a, 0x8a, 0x8a, 0xff}
	red    = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	yellow = color.RGBA{0xd0, 0x96, 0x00, 0xff}
	green  = color.RGBA{0x00, 0x9e, 0x73, 0xff}
	blue   = color.RGBA{0x3b, 0x8f, 0xd4, 0xff}
	pink   = color.RGBA{0xcc, 0x79, 0xa7, 0xff}
	brown  = color.RGBA{0x9c, 0x75, 0x5f, 0xff}
	violet = color.RGBA{0x8f, 0x7c, 0xe0, 0xff}

	palette = []color.RGBA{green, blue, red, yellow, pink, gray, violet, brown}
)

// chart is a plot with the keys to its lines, which the page shows as text: within
// the picture they would cover the lines, and be small on a phone.
type chart struct {
	*plot.Plot
	keys []Key

	legendTop, legendLeft bool // where it is within the files
}

// Key says which line is whose.
type Key struct {
	Name, Color, Dashes string // as SVG has them
	Shape               string // of points; empty: it is a line
}

// newChart has no background of its own: the page has one, light or dark.
func newChart(x, y string) *chart {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Variant, axis.Label.TextStyle.Font.Size = "Sans", vg.Points(13)
		axis.Tick.Label.Font.Variant, axis.Tick.Label.Font.Size = "Sans", vg.Points(12)
	}
	grid := plotter.NewGrid()
	faint := color.RGBA{0x80, 0x80, 0x80, 0xff}
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	grid.Vertical.Width, grid.Horizontal.Width = vg.Points(0.25), vg.Points(0.25)
	p.Add(grid)
	p.Title.TextStyle.Font.Variant, p.Legend.TextStyle.Font.Variant = "Sans", "Sans"
	return &chart{Plot: p}
}

// style is how a line looks: not by its color alone.
func style(i int) draw.LineStyle {
	dashes := [][]vg.Length{nil, {6, 2}, {2, 2}, {8, 2, 2, 2}, {4, 4}, {1, 2}, {10, 3}, {3, 1}}
	return draw.LineStyle{Color: palette[i%len(palette)], Width: vg.Points(1.8), Dashes: dashes[i%len(dashes)]}
}

func (c *chart) addLine(name string, points plotter.XYs, s draw.LineStyle) error {
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle = s
	c.Add(line)
	c.Legend.Add(name, line)
	key := Key{Name: name, Color: hex(s.Color)}
	for _, d := range s.Dashes {
		key.Dashes += fmt.Sprintf("%.0f ", d.Points())
	}
	c.keys = append(c.keys, key)
	return nil
}

func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// logX shows the axis by its powers of ten.
func (c *chart) logX() {
	c.X.Scale, c.X.Tick.Marker = plot.LogScale{}, decadeTicks{}
}

// decadeTicks are those of plot.LogTicks that are within the axis: the others take
// room beside it.
type decadeTicks struct{}

func (decadeTicks) Ticks(low, high float64) []plot.Tick {
	// From a little below: it takes the logarithm of 0.1 for more than -1.
	return slices.DeleteFunc(plot.LogTicks{Prec: -1}.Ticks(low*0.99, high), func(t plot.Tick) bool {
		return t.Value < low*0.999 || t.Value > high*1.001
	})
}

// Figure is a picture, within the page and as files beside it.
type Figure struct {
	Name    string // of the files, without an extension
	Caption string
	SVG     string // for the page: its black is the color of the page's text
	Keys    []Key
}

func newFigure(name, caption string, c *chart) (Figure, error) {
	legend := c.Legend
	c.Legend = plot.NewLegend()
	svg, err := render(c.Plot, "svg")
	c.Legend = legend
	return Figure{Name: name, Caption: caption, SVG: inline(string(svg)), Keys: c.keys}, err
}

// files are the same picture on white.
func files(dir, name, title string, c *chart) error {
	c.BackgroundColor = color.White
	c.Title.Text = title
	c.Legend.Top, c.Legend.Left = c.legendTop, c.legendLeft
	for _, format := range []string{"svg", "png"} {
		b, err := render(c.Plot, format)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name+"."+format), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func render(p *plot.Plot, format string) ([]byte, error) {
	to, err := p.WriterTo(width, height, format)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = to.WriteTo(&b)
	return b.Bytes(), err
}

// inline makes an SVG file a part of the page, which gives it its size and its
// black.
func inline(svg string) string {
	_, svg, _ = strings.Cut(svg, "<svg")
	attributes, content, _ := strings.Cut(svg, ">")
	_, box, _ := strings.Cut(attributes, `viewBox="`)
	box, _, _ = strings.Cut(box, `"`)
	content = strings.ReplaceAll(content, "#000000", "currentColor")
	return `<svg role="img" aria-hidden="true" viewBox="` + box + `">` + content
}
