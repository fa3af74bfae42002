package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/price"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/conditions"
)

// sampleRows are of one example on two hosts.
func sampleRows() (rows []result.Row) {
	for _, host := range []string{"lambda", "openwhisk"} {
		for i, state := range []result.State{result.NoCache, result.Cold, result.Restarted, result.Warm, result.Thawed} {
			var samples []result.Sample
			for n := range 20 {
				samples = append(samples, result.Sample{
					Took:  time.Duration(100-20*i+n) * time.Millisecond,
					Calls: result.Calls{S3Gets: int64(1 - i/3), Bytes: 100},
				})
			}
			rows = append(rows, result.NewRow("R&D", host, state, samples))
		}
	}
	return rows
}

const (
	samplePeers = `{"targets":[],"conditions":{"go":"go1.26","platform":"linux/amd64","cpu":"a CPU","cpus":2,"date":"2026-05-04T03:02:01Z","set":"8 rounds","command":"go run ./bench/peers -rounds 8","libraries":{"otter":"v2"}},
		"cells":[{"measure":"hit","library":"warmcache","median":90,"min":80,"max":100},{"measure":"hit","library":"otter","median":100},
		{"measure":"miss","library":"warmcache","median":500},{"measure":"miss","library":"otter","median":600},
		{"measure":"ratio/web07/625","library":"warmcache","median":41.5},{"measure":"ratio/web07/1200","library":"warmcache","median":52.5}]}`
	sampleFiles = `{"conditions":{"cpu":"a CPU","date":"2026-05-04T03:02:01Z","command":"go run ./bench/files -rounds 3","libraries":{"s3":"v1"}},
		"measures":[{"name":"reopen/1","title":"Open again","unit":"µs"}],
		"cells":[{"measure":"reopen/1","contender":"warmcache","median":2.5},{"measure":"reopen/1","contender":"os.Open","median":1.5}]}`
	sampleFleet = `{"conditions":{"cpu":"a CPU","date":"2026-05-04T03:02:01Z","command":"go run ./bench fleet -seed 1"},"config":{"for_ns":7200000000000,"ttl":60000000000,"rate":500,"containers":1000,"arrivals":"poisson"},
		"results":[{"variant":"plain","requests":1000,"hit_ratio":0.875,"age_cdf":[0,0.5,1]},{"variant":"lease","requests":1000,"hit_ratio":0.9}],
		"rates":[{"rate":0.001,"ttl_ns":60000000000,"hit_ratio":0.01},{"rate":10,"ttl_ns":60000000000,"hit_ratio":0.97}],
		"stampede":{"config":{"ttl":60000000000},"results":[{"variant":"plain","timeline":[1000,0,3,2000]}]}}`
	sampleFaults = `{"conditions":{"go":"go1.26","cpu":"a CPU","date":"2026-05-04T03:02:01Z","command":"go run ./bench/peers/faults -json f","libraries":{"diskv":"v3"}},"object_bytes":1,"cells":[
		{"case":"one byte flipped","library":"warmcache","outcome":"fetched"},{"case":"one byte flipped","library":"diskv","outcome":"WRONG"},
		{"case":"disk full","library":"diskv","outcome":"fetched"}]}`
)

func write(t *testing.T, texts ...string) (html string, dir string) {
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
	d := Data{Examples: result.File{Conditions: conditions.Here("go run ./bench", []string{"-quick"}, "8 rounds"), Rows: sampleRows()}, Prices: DefaultPrices()}
	page, err := Write(dir, d, included)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), dir
}

var sectionIDs = []string{"latency", "money", "rates", "fleet", "peers", "traces", "files", "faults"}

func TestPageIsComplete(t *testing.T) {
	html, dir := write(t, samplePeers, sampleFleet, sampleFiles, sampleFaults)
	for id, parts := range map[string][]string{
		"latency": {"R&amp;D on Lambda", "on OpenWhisk", "<svg", "restarted", "go run ./bench -quick", "8 rounds"},
		"money":   {"at 0.4 USD", "at 0.0000166667 USD", "-price-s3-get", "go run ./bench -quick"},
		"rates":   {"<svg", "TTL 1m", "go run ./bench fleet -seed 1", "a CPU", "2026-05-04 03:02 UTC"},
		"fleet":   {"<svg", "87.50", "lease"},
		"peers":   {"<svg", "otter v2", "go run ./bench/peers -rounds 8", "a CPU", "2026-05-04 03:02 UTC"},
		"traces":  {"<svg", "web07", "52.50"},
		"files":   {"<svg", "Open again", "os.Open", "s3 v1", "go run ./bench/files -rounds 3", "a CPU", "2026-05-04 03:02 UTC"},
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
	expectFiles(t, html, dir)
}

// expectFiles looks for the pictures that the page links to.
func expectFiles(t *testing.T, html, dir string) {
	t.Helper()
	links := regexp.MustCompile(`href="([^"#]+)"`).FindAllStringSubmatch(html, -1)
	if len(links) != 2*10 {
		t.Errorf("%d links to files", len(links))
	}
	for _, link := range links {
		f, err := os.Open(filepath.Join(dir, strings.ReplaceAll(link[1], "&amp;", "&")))
		if err != nil {
			t.Error(err)
			continue
		}
		if strings.HasSuffix(link[1], ".png") {
			if _, err := png.Decode(f); err != nil {
				t.Errorf("%s: %v", link[1], err)
			}
		}
		f.Close()
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

// What is missing says how to get it.
func TestPageWithoutData(t *testing.T) {
	html, _ := write(t)
	for id, command := range map[string]string{
		"rates": "bench fleet", "fleet": "bench fleet", "peers": "bench/peers", "traces": "-trace", "files": "bench/files", "faults": "peers/faults",
	} {
		if got := section(t, html, id); !strings.Contains(got, "Not measured") || !strings.Contains(got, command) {
			t.Errorf("%s: %s", id, got)
		}
	}
	html = string(must(Data{}.html(t.TempDir())))
	for _, id := range sectionIDs {
		if !strings.Contains(section(t, html, id), "Not measured") {
			t.Errorf("section %s of nothing", id)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// The page needs no network and no other file to be read, and is well-formed.
func TestPageIsSelfContained(t *testing.T) {
	html, _ := write(t, samplePeers, sampleFleet, sampleFiles, sampleFaults)
	for _, load := range []string{"http:", "https:", "<script", "<link", "<img", "@import", "url(", "<iframe", "xlink"} {
		if i := strings.Index(strings.ReplaceAll(html, `xmlns="http://www.w3.org/2000/svg"`, ""), load); i >= 0 {
			t.Errorf("the page has %s: %.80s", load, html[i:])
		}
	}
	expectWellFormed(t, html)
	ids := map[string]bool{}
	for _, id := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if ids[id[1]] {
			t.Errorf("id %s is there twice", id[1])
		}
		ids[id[1]] = true
	}
	for _, to := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if !ids[to[1]] {
			t.Errorf("a link leads to #%s, which is not there", to[1])
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
		`{"rows":[]}`:                       "not results of",
		`no JSON`:                           "invalid character",
		`{"targets":[],"cells":{}}`:         "cannot unmarshal",
		`{"object_bytes":1,"conditions":7}`: "cannot unmarshal",
	} {
		file := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Write(t.TempDir(), Data{}, []string{file}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Write(t.TempDir(), Data{}, []string{"missing.json"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestSavings(t *testing.T) {
	p := Prices{S3Gets: 2, Function: price.Function{DatabaseCalls: 3, GBSecond: 1e-6, MemoryMB: 2048}}
	row := func(state result.State, took time.Duration, c result.Calls) result.Row {
		return result.NewRow("e", "h", state, []result.Sample{{Took: took, Calls: c}})
	}
	got := p.savings([]result.Row{
		row(result.NoCache, 3*time.Second, result.Calls{S3Gets: 3, S3Puts: 1, Database: 3}),
		row(result.Warm, time.Second, result.Calls{S3Gets: 1, S3Puts: 1, Database: 1}),
	})
	want := Saving{Example: "e", Host: "h", CallsWithout: 7, CallsWarm: 3, S3Gets: 4, Database: 6, Waiting: 4}
	if len(got) != 1 || got[0] != want || got[0].Total() != 14 {
		t.Errorf("%+v, want %+v", got, want)
	}
	f := flag.NewFlagSet("", flag.ContinueOnError)
	p.Flags(f)
	if err := f.Parse([]string{"-price-s3-get", "7", "-price-memory", "128"}); err != nil || p.S3Gets != 7 || p.MemoryMB != 128 {
		t.Errorf("%+v, %v", p, err)
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
}

// The results that the repository keeps can be shown.
func TestKeptResults(t *testing.T) {
	kept, err := filepath.Glob("../results/*.json")
	if err != nil || len(kept) == 0 {
		t.Fatal("there are no kept results", err)
	}
	var d Data
	for _, file := range kept {
		if err := d.include(file); err != nil {
			t.Error(err)
		}
	}
	if d.Peers == nil || len(d.Peers.bars()) != len(measures) || len(d.Peers.traces()) == 0 {
		b, _ := json.Marshal(d.Peers)
		t.Errorf("the peers' results lack something: %.200s", b)
	}
}
