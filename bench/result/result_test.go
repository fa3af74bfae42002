package result

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var values []float64
	for i := range 200 {
		values = append(values, float64(i+1))
	}
	for p, want := range map[int]float64{50: 100, 90: 180, 99: 198, 100: 200, 0: 1} {
		if got := Percentile(values, p); got != want {
			t.Errorf("p%d = %v, want %v", p, got, want)
		}
	}
	if got := Percentile(values[:1], 99); got != 1 {
		t.Errorf("p99 of one = %v", got)
	}
	if got := Percentile(nil, 50); got != 0 {
		t.Errorf("p50 of none = %v", got)
	}
}

func TestNewRow(t *testing.T) {
	r := NewRow("e", "h", Warm, []Sample{
		{Took: 3 * time.Millisecond, Calls: Calls{S3Gets: 1, Bytes: 30}},
		{Took: 1 * time.Millisecond, Calls: Calls{Database: 1}},
		{Took: time.Hour, Failed: true, Calls: Calls{S3Puts: 1}},
	})
	if r.N != 2 || r.Errors != 1 || r.P50 != 1 || r.P99 != 3 {
		t.Errorf("%+v", r)
	}
	if r.OriginCalls != 1 || r.S3Gets != 1./3 || r.S3Puts != 1./3 || r.DatabaseCalls != 1./3 || r.OriginBytes != 10 {
		t.Errorf("%+v", r)
	}
	if r := NewRow("e", "h", Warm, nil); r.N != 0 || r.OriginCalls != 0 {
		t.Errorf("of nothing: %+v", r)
	}
}

// Where every invocation failed there is no time to show, least of all zero.
func TestTableWithoutTimes(t *testing.T) {
	var b bytes.Buffer
	if err := WriteTable(&b, []Row{NewRow("quote", "lambda", Warm, []Sample{{Failed: true}})}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "0.00") || !strings.Contains(b.String(), "-") {
		t.Errorf("%s", b.String())
	}
}

func TestTableNamesEveryState(t *testing.T) {
	var rows []Row
	for _, s := range States {
		if s.Meaning() == "" {
			t.Errorf("%s has no meaning", s)
		}
		rows = append(rows, NewRow("quote", "lambda", s, []Sample{{Took: time.Second}}))
	}
	var b bytes.Buffer
	if err := WriteTable(&b, rows); err != nil {
		t.Fatal(err)
	}
	for _, s := range States {
		if strings.Count(b.String(), string(s)) < 2 || !strings.Contains(b.String(), s.Meaning()) {
			t.Errorf("%s is not in the table or not explained:\n%s", s, b.String())
		}
	}
}
