package result

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/internal/conditions"
)

// took returns n samples of 1 to n ms.
func took(n int) (samples []Sample) {
	for i := range n {
		samples = append(samples, Sample{Took: time.Duration(i+1) * time.Millisecond})
	}
	return samples
}

func TestNewRow(t *testing.T) {
	r := NewRow("e", "h", Warm, []Sample{
		{Took: 3 * time.Millisecond, Calls: &origin.Counts{Calls: 1, Bytes: 30}},
		{Took: 1 * time.Millisecond, Calls: &origin.Counts{Calls: 1}},
		{Took: time.Hour, Failed: true, Calls: &origin.Counts{Calls: 1}},
	})
	if r.N != 2 || r.Errors != 1 || *r.P50 != 1 {
		t.Errorf("%+v", r)
	}
	if *r.OriginCalls != 1 || *r.OriginBytes != 10 {
		t.Errorf("%+v", r)
	}
	if r := NewRow("e", "h", Warm, nil); r.N != 0 || r.OriginCalls != nil || r.P50 != nil {
		t.Errorf("of nothing: %+v", r)
	}
}

// With too few samples a percentile is unknown, in JSON and in the table.
func TestPercentilesNeedSamples(t *testing.T) {
	for n, want := range map[int]string{9: "9 0 5.00 - -", 10: "10 0 5.00 9.00 -", 99: "99 0 50.00 90.00 -", 100: "100 0 50.00 90.00 99.00"} {
		r := NewRow("e", "h", Warm, took(n))
		if (r.P90 == nil) != (n < 10) || (r.P99 == nil) != (n < 100) {
			t.Errorf("%d samples: %+v", n, r)
		}
		var b bytes.Buffer
		if err := (File{Rows: Rows{r}}).WriteTable(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), "warm "+want) {
			t.Errorf("%d samples: no %q in\n%s", n, want, &b)
		}
	}
}

// A foreign function's calls are unknown, not none.
func TestUnknownIsNull(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows.json")
	f := NewFile(conditions.Conditions{}, Rows{NewRow("e", "h", Warm, took(1)), NewRow("e", "h", Cold, []Sample{{Failed: true}})})
	if err := f.Write(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Kind string
		Rows []map[string]any
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"origin_calls", "origin_bytes", "p99_ms"} {
		if v, ok := got.Rows[0][name]; v != nil || !ok {
			t.Errorf("%s is %v, %v", name, v, ok)
		}
	}
	if v, ok := got.Rows[1]["p50_ms"]; v != nil || !ok || got.Kind != "functions" {
		t.Errorf("%s", b)
	}
	var table bytes.Buffer
	if err := f.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(table.String(), "0.00") || strings.Contains(table.String(), "origin") {
		t.Errorf("%s", &table)
	}
}

// The library's share of a cold start is the difference from one without it.
func TestShare(t *testing.T) {
	rows := Rows{NewRow("e", "h", NoCacheCold, took(10)), NewRow("e", "h", Cold, took(20))}
	p50, p90 := rows.Share()
	if p50 == nil || *p50 != 10-5 || p90 == nil || *p90 != 18-9 {
		t.Errorf("%v, %v", p50, p90)
	}
	var b bytes.Buffer
	if err := (File{Rows: rows}).WriteTable(&b); err != nil || !strings.Contains(strings.Join(strings.Fields(b.String()), " "), "library's share of cold 5.00 9.00") {
		t.Errorf("%v\n%s", err, &b)
	}
	if p50, p90 := rows[1:].Share(); p50 != nil || p90 != nil {
		t.Error("there is a share of an unknown")
	}
}

func TestSpeedup(t *testing.T) {
	rows := Rows{NewRow("e", "h", NoCache, took(100)), NewRow("e", "h", Warm, took(10))}
	if median, least, most := rows.Speedup(); median != 50./5 || least != 10./9 || most != 90./1 {
		t.Errorf("%v, %v to %v", median, least, most)
	}
	if median, _, _ := rows[1:].Speedup(); median != 0 {
		t.Error(median)
	}
}

func TestTableNamesEveryState(t *testing.T) {
	var rows Rows
	for _, s := range States {
		if s.Meaning() == "" {
			t.Errorf("%s has no meaning", s)
		}
		rows = append(rows, NewRow("quote", "lambda", s, took(1)))
	}
	var b bytes.Buffer
	if err := (File{Rows: rows}).WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, s := range States {
		if strings.Count(b.String(), string(s)) < 2 || !strings.Contains(b.String(), s.Meaning()) {
			t.Errorf("%s is not in the table or not explained:\n%s", s, &b)
		}
	}
}
