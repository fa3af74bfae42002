package report

import (
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/compare"
	"github.com/warmcache/warmcache/internal/conditions"
)

// sampleFunctions are of one example on two hosts.
func sampleFunctions() result.File {
	var rows result.Rows
	for _, host := range []string{"lambda", "openwhisk"} {
		for i, state := range []result.State{result.NoCacheCold, result.NoCache, result.Cold, result.Restarted, result.Warm, result.Thawed} {
			var samples []result.Sample
			for n := range 20 {
				samples = append(samples, result.Sample{
					Took:  time.Duration(120-20*i+n) * time.Millisecond,
					Calls: &origin.Counts{Calls: int64(1 - i/4), Bytes: 100},
				})
			}
			rows = append(rows, result.NewRow("R&D", host, state, samples))
		}
	}
	c := conditions.Here("go run ./bench", []string{"-quick"}, "8 rounds")
	c.Quick, c.LoadBefore = true, "1.25 0.50 0.10"
	return result.NewFile(c, rows)
}

const (
	samplePeers = `{"kind":"peers","conditions":{"go":"go1.26","platform":"linux/amd64","cpu":"a CPU","cpus":2,"date":"2026-05-04T03:02:01Z","set":"8 rounds","command":"go run ./bench/peers -rounds 8","libraries":{"otter":"v2"},"load_before":"3.25 1 1"},
		"notes":[{"name":"otter","text":"ExpiryWriting"}],
		"measures":[{"name":"hit","title":"Hit","unit":"ns","format":"%.1f"},{"name":"ratio/625","title":"625 entries","format":"%.2f","matrix":"Hit ratio"}],
		"cells":[{"measure":"hit","name":"warmcache","median":90,"min":80,"max":100},{"measure":"hit","name":"otter","median":100,"ratio":0.9,"ratio_min":0.85,"ratio_max":0.95},
		{"measure":"ratio/625","name":"warmcache","median":41.5}],
		"targets":[{"what":"hit over otter","at_most":1.2,"got":0.9,"got_min":0.85,"got_max":0.95}]}`
	sampleFiles = `{"kind":"files","conditions":{"cpu":"a CPU","date":"2026-05-04T03:02:01Z","command":"go run ./bench/files -rounds 3","libraries":{"s3":"v1"}},
		"measures":[{"name":"reopen","title":"Open again","unit":"µs"}],
		"cells":[{"measure":"reopen","name":"warmcache","median":2.5},{"measure":"reopen","name":"os.Open","median":1.5}]}`
	sampleFleet = `{"kind":"fleet","conditions":{"cpu":"a CPU","date":"2026-05-04T03:02:01Z","command":"go run ./bench fleet -seed 1"},"config":{"for_ns":7200000000000,"ttl":60000000000,"rate":500,"containers":1000,"arrivals":"poisson"},
		"results":[{"variant":"plain","requests":1000,"hit_ratio":0.875},{"variant":"lease","requests":1000,"hit_ratio":0.9}],
		"rates":[{"rate":0.001,"ttl_ns":60000000000,"hit_ratio":0.01},{"rate":10,"ttl_ns":60000000000,"hit_ratio":0.97}],
		"stampede":{"config":{"ttl":60000000000},"results":[{"variant":"plain","timeline":[1000,0,3,2000]}]}}`
	sampleFaults = `{"kind":"faults","conditions":{"go":"go1.26","cpu":"a CPU","date":"2026-05-04T03:02:01Z","command":"go run ./bench/peers/faults -json f","libraries":{"diskv":"v3"}},
		"measures":[{"name":"one byte flipped","title":"one byte flipped","matrix":"After damage"},{"name":"disk full","title":"disk full","matrix":"After damage"}],"cells":[
		{"measure":"one byte flipped","name":"warmcache","outcome":"fetched"},{"measure":"one byte flipped","name":"diskv","outcome":"WRONG"},
		{"measure":"disk full","name":"diskv","outcome":"fetched"}]}`
)

func write(t *testing.T, f result.File, texts ...string) (html string, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "report")
	var included []string
	for _, text := range texts {
		file := filepath.Join(t.TempDir(), "results.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		included = append(included, file)
	}
	page, err := Write(dir, f, included)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), dir
}

func TestPageIsComplete(t *testing.T) {
	html, _ := write(t, sampleFunctions(), samplePeers, sampleFleet, sampleFiles, sampleFaults)
	for id, parts := range map[string][]string{
		// 109 ms without the library and 49 ms warm; cold 89 and without the library 129.
		"costs":   {"R&amp;D", "<svg", "2.22× (1.77–2.85)", "go run ./bench -quick", "Quick: a hint", "load average before 1.25 0.50 0.10", "-40.0"},
		"latency": {"R&amp;D on Lambda", "on OpenWhisk", "<svg", "restarted", "8 rounds", "<td>20</td><td>89.0</td><td>97.0</td><td>–</td>"},
		"rates":   {"<svg", "TTL 1m", "go run ./bench fleet -seed 1", "a CPU", "2026-05-04 03:02 UTC"},
		"fleet":   {"<svg", "87.50", "<dt>plain</dt>", "<dt>tier</dt>", "<dt>lease</dt>"},
		"peers":   {"otter v2", "go run ./bench/peers -rounds 8", "a CPU", "2026-05-04 03:02 UTC", "0.90 (0.85–0.95)", "625 entries", "41.50", "80.0–100.0", "<td>1.2</td><td>0.9 (0.85–0.95)</td><td>met</td>", "ExpiryWriting", "load average before 3.25"},
		"files":   {"Open again", "os.Open", "s3 v1", "go run ./bench/files -rounds 3", "a CPU", "2026-05-04 03:02 UTC"},
		"faults":  {"a CPU", "2026-05-04 03:02 UTC", "one byte flipped", `class="bad">WRONG`, `class="ours">fetched`, "<td>fetched", "diskv v3", "go run ./bench/peers/faults"},
	} {
		got := section(t, html, id)
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("section %s lacks %q", id, part)
			}
		}
		if strings.Contains(got, "Not measured") {
			t.Errorf("section %s is empty", id)
		}
	}
}

// Update replaces the blocks of the files alone, and draws the overview.
func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "results"), 0o755); err != nil {
		t.Fatal(err)
	}
	functions := filepath.Join(dir, "results", "functions.json")
	if err := sampleFunctions().Write(functions); err != nil {
		t.Fatal(err)
	}
	peers := filepath.Join(dir, "results", "peers.json")
	results := filepath.Join(dir, "RESULTS.md")
	for file, text := range map[string]string{
		peers:   samplePeers,
		results: "# Results\n\n<!-- peers.json -->\n```text\nOLD\n```\n\nkept\n\n<!-- functions.json -->\n```text\nOLD\nOLD\n```\nend\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := Update(dir, []string{functions, peers}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Results\n\n<!-- peers.json -->\n```text\ngo1.26, linux", "Hit ratio", "\n```\n\nkept\n\n<!-- functions.json -->\n```text\n", "R&D", "\n```\nend\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "OLD") {
		t.Errorf("%s", b)
	}
	f, err := os.Open(filepath.Join(dir, "results", "overview.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(results, []byte("no block"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Update(dir, []string{peers}); err == nil || !strings.Contains(err.Error(), "<!-- peers.json -->") {
		t.Error(err)
	}
}

// Each table can be scrolled, and so loses no column on a phone.
func TestTablesScroll(t *testing.T) {
	html, _ := write(t, sampleFunctions(), samplePeers, sampleFleet, sampleFiles, sampleFaults)
	tables := strings.Count(html, "<table")
	if scrolling := len(regexp.MustCompile(`<div class="scroll"[^>]*><table`).FindAllString(html, -1)); tables == 0 || scrolling != tables {
		t.Errorf("%d of %d tables", scrolling, tables)
	}
}

func section(t *testing.T, html, id string) string {
	t.Helper()
	_, rest, ok := strings.Cut(html, `<section id="`+id+`">`)
	text, _, closed := strings.Cut(rest, "</section>")
	if !ok || !closed {
		t.Fatalf("there is no section %s", id)
	}
	return text
}

// A section without results names the command that measures them.
func TestPageWithoutData(t *testing.T) {
	html, _ := write(t, result.File{})
	for id, command := range map[string]string{
		"costs": "go run ./bench", "latency": "go run ./bench", "rates": "bench fleet", "fleet": "bench fleet",
		"peers": "bench/peers", "files": "bench/files", "faults": "peers/faults",
	} {
		if got := section(t, html, id); !strings.Contains(got, "Not measured") || !strings.Contains(got, command) {
			t.Errorf("%s: %s", id, got)
		}
	}
}

// The page is well-formed and loads nothing from the network or from other files.
func TestPageIsSelfContained(t *testing.T) {
	html, _ := write(t, sampleFunctions(), samplePeers, sampleFleet, sampleFiles, sampleFaults)
	for _, load := range []string{"http:", "https:", "<script", "<link", "<img", "@import", "url(", "<iframe", "xlink"} {
		if i := strings.Index(strings.ReplaceAll(html, `xmlns="http://www.w3.org/2000/svg"`, ""), load); i >= 0 {
			t.Errorf("the page has %s: %.80s", load, html[i:])
		}
	}
	expectWellFormed(t, html)
	ids := map[string]bool{}
	for _, id := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if ids[id[1]] {
			t.Errorf("id %s occurs twice", id[1])
		}
		ids[id[1]] = true
	}
	for _, to := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if !ids[to[1]] {
			t.Errorf("a link leads to #%s, which is missing", to[1])
		}
	}
}

// expectWellFormed reads it as XML, but for the element that HTML does not close.
func expectWellFormed(t *testing.T, html string) {
	t.Helper()
	closed := regexp.MustCompile(`<meta [^>]*`).ReplaceAllString(html, "$0/")
	d := xml.NewDecoder(strings.NewReader(closed))
	d.Entity = xml.HTMLEntity
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestIncludeErrors(t *testing.T) {
	for text, want := range map[string]string{
		`{"rows":[]}`:                     "unknown",
		`no JSON`:                         "invalid character",
		`{"kind":"peers","cells":{}}`:     "cannot unmarshal",
		`{"kind":"fleet","conditions":7}`: "cannot unmarshal",
	} {
		file := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(t.TempDir(), result.File{}, []string{file}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Write(t.TempDir(), result.File{}, []string{"missing.json"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.04321: "0.043", 0.4321: "0.432", 4.321: "4.32", 43.21: "43.2", 432.1: "432", 4321: "4321",
		43210: "43\u202f210", 1234567: "1\u202f234\u202f567", -43210: "-43\u202f210",
	} {
		if got := number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	if got := number((*float64)(nil)); got != "–" {
		t.Error(got)
	}
	if got := short(time.Hour); got != "1h" {
		t.Error(got)
	}
}

// The page shows all kept results, and they have the figures that follow from their
// samples.
func TestKeptResults(t *testing.T) {
	kept, err := filepath.Glob("../results/*.json")
	if err != nil || len(kept) == 0 {
		t.Fatal("there are no stored results", err)
	}
	p := page{Reports: map[string]*compare.Report{}}
	for _, file := range kept {
		if _, err := p.include(file); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if p.Fleet == nil || len(p.Reports) != 3 {
		t.Fatalf("%d reports", len(p.Reports))
	}
	for kind, r := range p.Reports {
		if len(r.Tables()) == 0 || len(r.Cells) == 0 {
			t.Errorf("%s has no tables", kind)
		}
		for _, c := range r.Cells {
			if c.Outcome == "" && c.Median != compare.Median(c.Samples) {
				t.Errorf("%s: %s of %s: the median is %v", kind, c.Measure, c.Name, c.Median)
			}
		}
	}
}
