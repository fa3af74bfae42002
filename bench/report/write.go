// Package report writes the results of the bench as one HTML page that needs no
// network, and updates RESULTS.md. It reads the files of results that the commands of
// the bench write with -json. For a missing file the page shows the command.
package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
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

	Groups       []group
	Overview     *figure
	Rates, Loads *figure
	FleetLegend  [][2]string
}

// table is a file of results.
type table interface{ WriteTable(w io.Writer) error }

// Write writes index.html into dir, which it creates, and returns the path of the page.
// The rows of f replace those of an included file.
func Write(dir string, f result.File, included []string) (string, error) {
	p := &page{Reports: map[string]*compare.Report{}, FleetLegend: fleet.Legend}
	for _, file := range included {
		if _, err := p.include(file); err != nil {
			return "", err
		}
	}
	if f.Rows != nil {
		p.Functions = f
	}
	var b bytes.Buffer
	if err := errors.Join(p.draw(), pageTemplate.Execute(&b, p), os.MkdirAll(dir, 0o755)); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	name := filepath.Join(dir, "index.html")
	return name, os.WriteFile(name, b.Bytes(), 0o644)
}

// Update rewrites RESULTS.md in dir, and overview.png beside the files of results. In
// RESULTS.md it replaces the block of text after the comment with the name of each file.
func Update(dir string, included []string) error {
	file := filepath.Join(dir, "RESULTS.md")
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text, p := string(old), page{Reports: map[string]*compare.Report{}}
	for _, name := range included {
		results, err := p.include(name)
		if err != nil {
			return err
		}
		start := "<!-- " + filepath.Base(name) + " -->\n```text\n"
		before, rest, _ := strings.Cut(text, start)
		_, after, found := strings.Cut(rest, "\n```\n")
		if !found {
			return fmt.Errorf("report: %s has no block after %q", file, start)
		}
		var b bytes.Buffer
		if err := results.WriteTable(&b); err != nil {
			return err
		}
		text = before + start + strings.Trim(b.String(), "\n") + "\n```\n" + after
	}
	overview, err := overviewPlot(p.Functions.Rows, "lambda")
	if err != nil || overview == nil {
		return err
	}
	return errors.Join(overview.save(filepath.Join(dir, "results", "overview.png")), os.WriteFile(file, []byte(text), 0o644))
}

// include reads a file of results.
func (p *page) include(file string) (t table, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var head struct{ Kind string }
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("report: %s: %w", file, err)
	}
	switch head.Kind {
	case "functions":
		t = &p.Functions
	case "fleet":
		p.Fleet = new(fleet.Report)
		t = p.Fleet
	case "peers", "files", "faults":
		p.Reports[head.Kind] = new(compare.Report)
		t = p.Reports[head.Kind]
	default:
		return nil, fmt.Errorf("report: %s: the kind of the results, %q, is unknown: write the file again with -json", file, head.Kind)
	}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("report: %s: %w", file, err)
	}
	return t, nil
}

func (p *page) draw() (err error) {
	for _, rows := range p.Functions.Rows.Groups() {
		g, err := newGroup(rows)
		if err != nil {
			return err
		}
		p.Groups = append(p.Groups, g)
	}
	if p.Overview, err = newFigure(overviewPlot(p.Functions.Rows, "lambda")); err != nil || p.Fleet == nil {
		return err
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
	Factor                       string   // of the medians, without the library over warm, with its range
	Saved, Share50, Share90      *float64 // ms
}

func newGroup(rows result.Rows) (g group, err error) {
	r := rows[0]
	g = group{Rows: rows, Example: r.Example, Host: result.HostNames[r.Host]}
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

// number formats a figure with three significant digits, at most three after the point,
// and groups of thousands. A nil pointer means unknown.
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
