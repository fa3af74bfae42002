package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/bench/origin"
)

func TestMain(m *testing.M) {
	origin.ServeIfChild()
	goleak.VerifyTestMain(m)
}

// Everything is measured: that also checks that each did its work, and with how
// many requests.
func TestQuick(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	args := []string{"-quick", "-json", file}
	s, err := parse(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(context.Background(), s, args); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r results
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if c := r.Conditions; c.Date.IsZero() || c.CPU == "" || c.CPUs == 0 || c.Command != "go run ./bench/files -quick -json "+file || len(c.Libraries) == 0 {
		t.Errorf("%+v", c)
	}
	for _, m := range measures(s) {
		c := r.find(m.Name, "warmcache")
		if c == nil || len(c.Samples) != 1 || c.Median <= 0 || c.Ratio != 1 || c.Unit != m.Unit {
			t.Errorf("%s: %+v", m.Name, c)
		}
		for _, over := range m.over {
			if r.find(m.Name, over) == nil {
				t.Errorf("%s: nothing of %s", m.Name, over)
			}
		}
	}
}

func TestRatioIsThatOfTheRounds(t *testing.T) {
	var r results
	for _, v := range []float64{1, 100, 3} {
		r.add("m", "warmcache", v)
		r.add("m", "other", 2*v)
	}
	m := measure{Name: "m", limit: 0.5, over: []string{"other"}}
	r.finish(m, []contender{{name: "warmcache"}, {name: "other"}})
	c := r.find("m", "other")
	if c.Ratio != 0.5 || c.Median != 6 || c.Min != 2 || c.Max != 200 {
		t.Errorf("%+v", c)
	}
	if got := m.verdict(c); got != "at most 0.50: met" {
		t.Error(got)
	}
	m.limit = 0.4
	if got := m.verdict(c); got != "at most 0.40: missed" {
		t.Error(got)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-rounds 0", "-rounds is 0"}, {"extra", `"extra"`}, {"-only (", "-only"},
	} {
		if _, err := parse(strings.Fields(tt.args)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.args, err)
		}
	}
}
