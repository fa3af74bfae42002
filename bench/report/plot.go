package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The size of a picture. Its text is still legible on a phone.
const (
	width  = 5.2 * vg.Inch
	height = 3.1 * vg.Inch
)

// Colors that color-blind readers can tell apart, on white and on near black.
var (
	gray   = color.RGBA{0x8a, 0x8a, 0x8a, 0xff}
	red    = color.RGBA{0xd5, 0x5e, 0x00, 0xff}
	yellow = color.RGBA{0xd0, 0x96, 0x00, 0xff}
	green  = color.RGBA{0x00, 0x9e, 0x73, 0xff}
	blue   = color.RGBA{0x3b, 0x8f, 0xd4, 0xff}
	pink   = color.RGBA{0xcc, 0x79, 0xa7, 0xff}

	palette = []color.RGBA{green, blue, red, yellow, pink, gray}
)

// chart is a plot with its legend. The page shows the legend as text: within the picture
// it would cover the lines, and be small on a phone.
type chart struct {
	*plot.Plot
	caption string
	keys    []key
	marks   plot.Legend // for save
}

// key is an entry of a legend, in the terms of SVG.
type key struct {
	Name, Color, Dashes string
	Shape               string // of a mark; empty for a line
}

// newChart returns a chart without a background: that of the page is light or dark.
func newChart(x, y, caption string) *chart {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font.Variant, axis.Label.TextStyle.Font.Size = "Sans", vg.Points(13)
		axis.Tick.Label.Font.Variant, axis.Tick.Label.Font.Size = "Sans", vg.Points(12)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gray, gray
	grid.Vertical.Width, grid.Horizontal.Width = vg.Points(0.25), vg.Points(0.25)
	p.Add(grid)
	marks := plot.NewLegend()
	marks.TextStyle.Font.Variant = "Sans"
	return &chart{Plot: p, caption: caption, marks: marks}
}

// style returns the style of the i-th line. Lines differ in color and in dashes.
func style(i int) draw.LineStyle {
	dashes := [][]vg.Length{nil, {6, 2}, {2, 2}, {8, 2, 2, 2}, {4, 4}, {1, 2}}
	return draw.LineStyle{Color: palette[i%len(palette)], Width: vg.Points(1.8), Dashes: dashes[i%len(dashes)]}
}

// addLine adds a line, unless there are no points.
func (c *chart) addLine(name string, points plotter.XYs, s draw.LineStyle) error {
	if len(points) == 0 {
		return nil
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.LineStyle = s
	c.Add(line)
	k := key{Name: name, Color: hex(s.Color)}
	for _, d := range s.Dashes {
		k.Dashes += fmt.Sprintf("%.0f ", d.Points())
	}
	c.keys = append(c.keys, k)
	return nil
}

func hex(c color.Color) string {
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// powersOfTen are the ticks of an axis of logarithms. (plot.LogScale misplaces the label
// of the axis.)
var powersOfTen = plot.TickerFunc(func(low, high float64) (ticks []plot.Tick) {
	for power := math.Floor(low); power <= high; power++ {
		ticks = append(ticks, plot.Tick{Value: power, Label: strconv.FormatFloat(math.Pow(10, power), 'f', -1, 64)})
		for digit := 2.; digit < 10 && power < high; digit++ {
			ticks = append(ticks, plot.Tick{Value: power + math.Log10(digit)})
		}
	}
	return ticks
})

// logarithmic makes a the axis of logarithms, from one power of ten to another.
func logarithmic(a *plot.Axis) {
	a.Tick.Marker = powersOfTen
	a.Min, a.Max = math.Floor(a.Min+0.001), math.Ceil(a.Max-0.001)
}

// log10 returns the logarithm of v, or of least if v is less, since zero has none.
func log10(v, least float64) float64 { return math.Log10(max(v, least)) }

// figure is a picture within the page.
type figure struct {
	Caption string
	SVG     string // its black is the color of the page's text
	Keys    []key
}

// newFigure makes c a part of the page, with the page's size and text color.
func newFigure(c *chart, err error) (*figure, error) {
	if err != nil || c == nil {
		return nil, err
	}
	to, err := c.WriterTo(width, height, "svg")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = to.WriteTo(&b)
	_, svg, _ := strings.Cut(b.String(), "<svg")
	attributes, content, _ := strings.Cut(svg, ">")
	_, box, _ := strings.Cut(attributes, `viewBox="`)
	box, _, _ = strings.Cut(box, `"`)
	svg = `<svg role="img" aria-hidden="true" viewBox="` + box + `">` + strings.ReplaceAll(content, "#000000", "currentColor")
	return &figure{Caption: c.caption, SVG: svg, Keys: c.keys}, err
}

// save writes the picture on white, with its legend above the first row.
func (c *chart) save(file string) error {
	c.BackgroundColor = color.White
	c.Legend = c.marks
	c.Legend.Top, c.Legend.Padding = true, vg.Points(3)
	c.Y.Max += 2
	return c.Save(width, height+1.2*vg.Inch, file)
}
