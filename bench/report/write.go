package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Write makes dir, with the page index.html and all its pictures, and returns the
// path of the page. The files are results of the bench's other commands.
func Write(dir string, d Data, included []string) (string, error) {
	for _, file := range included {
		if err := d.include(file); err != nil {
			return "", fmt.Errorf("report: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	html, err := d.html(dir)
	if err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	page := filepath.Join(dir, "index.html")
	if err := os.WriteFile(page, html, 0o644); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return page, nil
}

// page is what the template shows.
type page struct {
	Data
	Groups   []*group
	Overview *Figure
	Savings  []Saving
	Bars     []Bars
	FileBars []Bars
	Traces   []*Trace
	Rates    *Figure
	Waves    *Figure
	Ages     *Figure
	Matrix   *Matrix
}

func (d Data) html(dir string) ([]byte, error) {
	p := &page{Data: d, Groups: groups(d.Examples.Rows), Savings: d.Prices.savings(d.Examples.Rows)}
	a := artist{dir: dir}
	p.drawExamples(&a)
	p.drawPeers(&a)
	p.drawFleet(&a)
	p.drawFiles(&a)
	if p.Faults != nil {
		p.Matrix = p.Faults.matrix()
	}
	if a.err != nil {
		return nil, a.err
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, p)
	return b.Bytes(), err
}

func (p *page) drawExamples(a *artist) {
	if o := overviewOf(p.Groups, "lambda"); len(o) > 0 {
		p.Overview = a.draw("overview", "The examples on Lambda: without the library, in a new container, in a new process after a crash, and in a warm one.", o.plot)
	}
	for _, g := range p.Groups {
		g.Figure = *a.draw("latency-"+g.Example+"-"+g.Host,
			fmt.Sprintf("%s on %s: how many of the invocations were answered within a time. Further left is faster.", g.Example, hostName(g.Host)), g.plot)
	}
}

func (p *page) drawPeers(a *artist) {
	if p.Peers == nil {
		return
	}
	p.Bars, p.Traces = p.Peers.bars(), p.Peers.traces()
	for i, b := range p.Bars {
		p.Bars[i].Figure = *a.draw("peers-"+b.Cells[0].Measure, b.Title+": shorter is faster.", b.plot)
	}
	for _, t := range p.Traces {
		t.Figure = *a.draw("ratio-"+t.Name, "Hits on the trace "+t.Name+", by the capacity of the cache.", t.plot)
	}
}

func (p *page) drawFleet(a *artist) {
	if p.Fleet == nil {
		return
	}
	if len(p.Fleet.Rates) > 0 {
		p.Rates = a.draw("fleet-rates", "Hits over the arrival rate, one function and its containers.", p.Fleet.plotRates)
	}
	if len(p.Fleet.Stampede.Results) > 0 {
		p.Waves = a.draw("fleet-stampede", "Loads of the database in each second: the fleet starts with empty caches, and is replaced at once later. None at all is drawn as one.", p.Fleet.plotStampede)
	}
	if len(p.Fleet.Results) > 0 {
		p.Ages = a.draw("fleet-ages", "How old the answers were when they were given. None is older than the TTL.", p.Fleet.plotAges)
	}
}

// artist draws until something goes wrong.
type artist struct {
	dir string
	err error
}

func (a *artist) draw(name, caption string, drawn func() (*chart, error)) *Figure {
	if a.err != nil {
		return &Figure{}
	}
	p, err := drawn()
	if err != nil {
		a.err = fmt.Errorf("draw %s: %w", name, err)
		return &Figure{}
	}
	f, err := newFigure(name, caption, p)
	if err == nil {
		title, _, _ := strings.Cut(caption, ":")
		err = files(a.dir, name, title, p)
	}
	a.err = err
	return &f
}

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"svg":     func(f Figure) template.HTML { return template.HTML(f.SVG) }, // of our own making
	"number":  number,
	"exact":   exact,
	"meaning": meanings,
	"short":   short,
	"ms":      func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) },
	"percent": func(part float64) string { return fmt.Sprintf("%.2f", 100*part) },
	"host":    hostName,
	"isOurs":  func(library string) bool { return strings.HasPrefix(library, subject) },
}).Parse(pageHTML))
