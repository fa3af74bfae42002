// Package report writes the results of the bench as one HTML page that needs no
// network, and the overview as a PNG beside it.
//
// The main job gives it the rows of the examples. It reads the rest from files of
// results, as the other commands of the bench write them with -json. For a missing
// file the page names the command.
package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/warmcache/warmcache/bench/fleet"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/compare"
)

// page is the content of the template.
type page struct {
	Functions result.File
	Reports   map[string]*compare.Report // by kind
	Fleet     *fleet.Report

	Groups         []group
	Overview       *figure
	Rates, Loads   *figure
	FleetLegend    [][2]string
	overviewToFile *chart
}

// Write makes dir with the page index.html and overview.png, and returns the path of
// the page. The included files are results of the bench's other commands.
func Write(dir string, f result.File, included []string) (string, error) {
	p := &page{Reports: map[string]*compare.Report{}, FleetLegend: fleet.Legend}
	for _, file := range included {
		if err := p.include(file); err != nil {
			return "", fmt.Errorf("report: %s: %w", file, err)
		}
	}
	if f.Rows != nil {
		p.Functions = f
	}
	name := filepath.Join(dir, "index.html")
	if err := p.write(dir, name); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return name, nil
}

// include reads a file of results.
func (p *page) include(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var head struct{ Kind string }
	if err := json.Unmarshal(b, &head); err != nil {
		return err
	}
	switch head.Kind {
	case "functions":
		return json.Unmarshal(b, &p.Functions)
	case "fleet":
		return json.Unmarshal(b, &p.Fleet)
	case "peers", "files", "faults":
		r := new(compare.Report)
		p.Reports[head.Kind] = r
		return json.Unmarshal(b, r)
	}
	return fmt.Errorf("results of kind %q are unknown: write the file again with -json", head.Kind)
}

func (p *page) write(dir, name string) error {
	if err := p.draw(); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if p.overviewToFile != nil {
		if err := p.overviewToFile.save(filepath.Join(dir, "overview.png")); err != nil {
			return err
		}
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}

func (p *page) draw() (err error) {
	for _, rows := range p.Functions.Rows.Groups() {
		g, err := newGroup(rows)
		if err != nil {
			return err
		}
		p.Groups = append(p.Groups, g)
	}
	if chart, err := overviewPlot(p.Functions.Rows, "lambda"); err != nil {
		return err
	} else if chart != nil {
		if p.Overview, err = newFigure(chart, nil); err != nil {
			return err
		}
		p.overviewToFile = chart
	}
	if p.Fleet == nil {
		return nil
	}
	if p.Rates, err = newFigure(ratesPlot(p.Fleet.Rates)); err != nil {
		return err
	}
	p.Loads, err = newFigure(stampedePlot(&p.Fleet.Stampede))
	return err
}

// group is an example on a host, with its figures for the table of savings and costs.
type group struct {
	result.Rows
	Example, Host string
	Figure        *figure

	Plain, Warm, PlainCold, Cold result.Row
	Factor                       string   // how many times faster the warm median is than without the library, with its range
	Saved, Share50, Share90      *float64 // ms
}

func newGroup(rows result.Rows) (g group, err error) {
	r := rows[0]
	g = group{Rows: rows, Example: r.Example, Host: result.HostName(r.Host)}
	for state, row := range map[result.State]*result.Row{result.NoCache: &g.Plain, result.Warm: &g.Warm, result.NoCacheCold: &g.PlainCold, result.Cold: &g.Cold} {
		*row = rows.Find(r.Example, r.Host, state)
	}
	if median, least, most := rows.Speedup(); median > 0 {
		g.Factor = fmt.Sprintf("%s× (%s–%s)", number(median), number(least), number(most))
		g.Saved = new(*g.Plain.P50 - *g.Warm.P50)
	}
	g.Share50, g.Share90 = rows.Share()
	g.Figure, err = newFigure(latencyPlot(rows))
	return g, err
}

// number has three significant digits, of which three at most behind the point, and
// groups of thousands. A nil pointer is unknown.
func number(of any) string {
	var v float64
	switch of := of.(type) {
	case *float64:
		if of == nil {
			return "–"
		}
		v = *of
	case float64:
		v = of
	case time.Duration:
		v = float64(of) / float64(time.Millisecond)
	}
	if v == 0 || math.IsNaN(v) {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	text := strconv.FormatFloat(v, 'f', min(max(digits, 0), 3), 64)
	if strings.Contains(text, ".") || math.Abs(v) < 10_000 {
		return text
	}
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"svg":     func(f *figure) template.HTML { return template.HTML(f.SVG) }, // of our own making
	"number":  number,
	"short":   short,
	"percent": func(part float64) string { return fmt.Sprintf("%.2f", 100*part) },
	"isOurs":  func(name string) bool { return strings.HasPrefix(name, "warmcache") },
	"isBad": func(outcome string) bool {
		return outcome == "WRONG" || outcome == "stale" || outcome == "error" || outcome == "hangs"
	},
}).Parse(pageHTML))
