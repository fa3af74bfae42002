package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/internal/compare"
)

func TestMain(m *testing.M) {
	origin.ServeIfChild()
	goleak.VerifyTestMain(m)
}

// Everything is measured: that also checks that each contender did its work, and
// with how many requests.
func TestQuick(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	if err := command.Run(t.Context(), []string{"-quick", "-json", file}, io.Discard); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r compare.Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if c := r.Conditions; c.Date.IsZero() || c.CPU == "" || c.Command != "go run ./bench/files -quick -json "+file || len(c.Libraries) == 0 {
		t.Errorf("%+v", c)
	}
	if r.Kind != "files" || len(r.Measures) != len(measures(true)) {
		t.Errorf("%s: %d measures", r.Kind, len(r.Measures))
	}
	for _, m := range r.Measures {
		for i, c := range r.Of(m.Name) {
			if len(c.Samples) != 1 || c.Median <= 0 || c.Ratio <= 0 || i == 0 && c.Ratio != 1 {
				t.Errorf("%s: %+v", m.Name, c)
			}
		}
	}
	// The large sizes are smaller in a quick run, under other names.
	if len(r.Targets) != len(targets)-2+1 {
		t.Errorf("%d targets: %+v", len(r.Targets), r.Targets)
	}
}

// Each target names cells that a full run has.
func TestTargetsAreMeasured(t *testing.T) {
	sizes := map[string]bool{}
	for _, size := range []int{1 << 10, 1 << 20, 100 << 20, 1 << 30} {
		sizes[subject+", "+sizeName(size)] = true
	}
	for _, x := range targets {
		if x.measure == "reopen" && !sizes[x.of] {
			t.Errorf("%+v", x)
		}
	}
}
