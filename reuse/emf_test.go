package reuse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
)

var (
	testTime   = time.Date(2026, 3, 4, 5, 6, 7, 8_999_999, time.UTC)
	first      = Invocation{Start: Cold, Number: 1, Age: 1500 * time.Microsecond, began: testTime.UnixNano()}
	afterPause = Invocation{Start: Warm, Number: 7, Age: time.Hour, Gap: time.Minute, Pause: 59 * time.Second, began: testTime.UnixNano()}
)

// stats is like the Stats of a cache, with LogValue and without.
type stats struct {
	Hits, OriginBytes int64
	LastFreeze        time.Duration
	hidden            int64
}

type loggedStats struct{ stats }

func (s loggedStats) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("hits", s.Hits), slog.Group("more", slog.Int64("origin_bytes", s.OriginBytes)))
}

func emf(t *testing.T, i Invocation, dimensions map[string]string, counters ...slog.Attr) string {
	t.Helper()
	var b bytes.Buffer
	if err := i.EMF(&b, "Shop", dimensions, counters...); err != nil {
		t.Fatal(err)
	}
	line := b.String()
	if !json.Valid([]byte(line)) || strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
		t.Fatalf("not one line of JSON: %s", line)
	}
	return strings.TrimSpace(line)
}

func TestEMFLine(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"cold", emf(t, first, nil),
			`{"_aws":{"Timestamp":1772600767008,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[[]],"Metrics":[` +
				`{"Name":"cold","Unit":"Count"},{"Name":"restarted","Unit":"Count"},{"Name":"warm","Unit":"Count"},` +
				`{"Name":"age","Unit":"Milliseconds"}]}]},` +
				`"start":"cold","number":1,"cold":1,"restarted":0,"warm":0,"age":1.5}`},
		{"thawed", emf(t, afterPause, map[string]string{"version": "7", "function": "quo\"te"}, slog.Int("rows", 3)),
			`{"_aws":{"Timestamp":1772600767008,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["function","version"]],"Metrics":[` +
				`{"Name":"cold","Unit":"Count"},{"Name":"restarted","Unit":"Count"},{"Name":"warm","Unit":"Count"},` +
				`{"Name":"age","Unit":"Milliseconds"},{"Name":"gap","Unit":"Milliseconds"},{"Name":"pause","Unit":"Milliseconds"},` +
				`{"Name":"rows","Unit":"Count"}]}]},` +
				`"function":"quo\"te","version":"7",` +
				`"start":"warm","number":7,"cold":0,"restarted":0,"warm":1,"age":3600000,"gap":60000,"pause":59000,"rows":3}`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestEMFCounters(t *testing.T) {
	type small uint8
	s := stats{Hits: 3, OriginBytes: 4096, LastFreeze: 2 * time.Second, hidden: 1}
	for _, tt := range []struct {
		counter         slog.Attr
		metrics, member string
	}{
		{slog.Any("c", s), `c.hits Count c.origin_bytes Bytes c.last_freeze Milliseconds`, `"c.hits":3,"c.origin_bytes":4096,"c.last_freeze":2000`},
		{slog.Any("c", loggedStats{s}), `c.hits Count c.more.origin_bytes Bytes`, `"c.hits":3,"c.more.origin_bytes":4096`},
		{slog.Any("", loggedStats{s}), `hits Count more.origin_bytes Bytes`, `"hits":3,"more.origin_bytes":4096`},
		{slog.Any("c", map[string]int64{"z": 1, "a": 2}), `c.a Count c.z Count`, `"c.a":2,"c.z":1`},
		{slog.Any("c", map[string]any{"z": 1, "a": "text", "n": nil}), `c.z Count`, `"c.z":1`},
		{slog.Any("c", small(7)), `c Count`, `"c":7`},
		{slog.Uint64("c", 1<<40), `c Count`, `"c":1099511627776`},
		{slog.Float64("ratio", 0.25), `ratio Count`, `"ratio":0.25`},
		{slog.Duration("took", time.Millisecond), `took Milliseconds`, `"took":1`},
		{slog.String("request", "id-1"), ``, `"request":"id-1"`},
		{slog.Bool("vip", true), ``, `"vip":true`},
	} {
		var line struct {
			AWS struct {
				CloudWatchMetrics []struct{ Metrics []struct{ Name, Unit string } }
			} `json:"_aws"`
		}
		got := emf(t, first, nil, tt.counter)
		if err := json.Unmarshal([]byte(got), &line); err != nil {
			t.Fatal(err)
		}
		var metrics []string
		for _, m := range line.AWS.CloudWatchMetrics[0].Metrics[4:] {
			metrics = append(metrics, m.Name, m.Unit)
		}
		if strings.Join(metrics, " ") != tt.metrics || !strings.HasSuffix(got, `"age":1.5,`+tt.member+"}") {
			t.Errorf("%v: %s", tt.counter, got)
		}
	}
	for _, ignored := range []slog.Attr{slog.Any("c", nil), slog.Any("c", &s), slog.Any("c", []int{1}), slog.Time("c", testTime), {}} {
		if got := emf(t, first, nil, ignored); got != emf(t, first, nil) {
			t.Errorf("%v: %s", ignored, got)
		}
	}
}

// A directive may have 100 metrics: more need more directives.
func TestEMFManyMetrics(t *testing.T) {
	many := map[string]int{}
	for n := range 230 {
		many[fmt.Sprintf("m%03d", n)] = n
	}
	var line struct {
		AWS struct{ CloudWatchMetrics []directive } `json:"_aws"`
	}
	if err := json.Unmarshal([]byte(emf(t, first, map[string]string{"f": "x"}, slog.Any("c", many))), &line); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, d := range line.AWS.CloudWatchMetrics {
		total += len(d.Metrics)
		if len(d.Metrics) > 100 || d.Namespace != "Shop" || fmt.Sprint(d.Dimensions) != "[[f]]" {
			t.Errorf("%d metrics, %s, %v", len(d.Metrics), d.Namespace, d.Dimensions)
		}
	}
	if total != 234 {
		t.Errorf("%d metrics", total)
	}
}

func TestEMFErrors(t *testing.T) {
	thirtyOne := map[string]string{}
	for n := range 31 {
		thirtyOne[fmt.Sprint("d", n)] = "x"
	}
	for _, tt := range []struct {
		namespace  string
		dimensions map[string]string
		counter    slog.Attr
		mentions   string
	}{
		{"", nil, slog.Int("c", 1), "namespace"},
		{"Shop", thirtyOne, slog.Int("c", 1), "31 dimensions"},
		{"Shop", map[string]string{"function": ""}, slog.Int("c", 1), `"function"`},
		{"Shop", map[string]string{"function": strings.Repeat("x", 1025)}, slog.Int("c", 1), "1025 bytes"},
		{"Shop", map[string]string{"": "x"}, slog.Int("c", 1), `""`},
		{"Shop", map[string]string{"c": "x"}, slog.Int("c", 1), `"c"`},
		{"Shop", nil, slog.Int("cold", 1), `"cold"`},
		{"Shop", nil, slog.String("_aws", "x"), `"_aws"`},
		{"Shop", nil, slog.Float64("c", math.NaN()), `"c" is NaN`},
		{"Shop", nil, slog.Float64("c", math.Inf(1)), `"c" is +Inf`},
	} {
		var b bytes.Buffer
		err := first.EMF(&b, tt.namespace, tt.dimensions, tt.counter)
		if err == nil || !strings.Contains(err.Error(), tt.mentions) || b.Len() > 0 {
			t.Errorf("%s: %v, %q", tt.mentions, err, b.String())
		}
	}
}

type failing struct{ calls int }

var errFull = errors.New("full")

func (f *failing) Write([]byte) (int, error) { f.calls++; return 0, errFull }

func TestEMFWritesOnce(t *testing.T) {
	var w failing
	if err := first.EMF(&w, "Shop", nil); !errors.Is(err, errFull) || w.calls != 1 {
		t.Errorf("%v, %d calls", err, w.calls)
	}
}

func BenchmarkEMF(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := first.EMF(bytes.NewBuffer(nil), "Shop", map[string]string{"function": "quote"}, slog.Any("products", stats{})); err != nil {
			b.Fatal(err)
		}
	}
}
