package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fixed returns a contender with the given samples.
func fixed(name string, samples ...float64) Contender {
	return Contender{Name: name, Sample: func() (float64, error) {
		v := samples[0]
		samples = samples[1:]
		return v, nil
	}}
}

func TestRatioIsThatOfTheRounds(t *testing.T) {
	var r Report
	// The first contender has a noisy second round, and both have a noisy third one.
	err := r.Run(Measure{Name: "m"}, 3, []Contender{fixed("ours", 10, 40, 300), fixed("other", 20, 50, 600)})
	if err != nil {
		t.Fatal(err)
	}
	c := r.Find("m", "other")
	if c.Median != 50 || c.Min != 20 || c.Max != 600 || c.Ratio != 0.5 || c.RatioMin != 0.5 || c.RatioMax != 0.8 || c.Base != "ours" {
		t.Errorf("%+v", c)
	}
	if c := r.Find("m", "ours"); c.Ratio != 1 || c.Median != 40 {
		t.Errorf("%+v", c)
	}
}

// Each round starts with a different contender.
func TestRoundsRotate(t *testing.T) {
	var r Report
	var order []string
	var contenders []Contender
	for _, name := range []string{"a", "b", "c"} {
		contenders = append(contenders, Contender{Name: name, Sample: func() (float64, error) {
			order = append(order, name)
			return 1, nil
		}})
	}
	if err := r.Run(Measure{Name: "m"}, 3, contenders); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abcbcacab" {
		t.Error(got)
	}
	broken := errors.New("broken")
	contenders[1].Sample = func() (float64, error) { return 0, broken }
	if err := r.Run(Measure{Name: "n"}, 1, contenders); !errors.Is(err, broken) || !strings.Contains(err.Error(), "n: b: ") {
		t.Errorf("%v", err)
	}
}

func TestBaseOfAContender(t *testing.T) {
	var r Report
	small, large := fixed("os, 1 GiB", 4), fixed("ours, 1 GiB", 2)
	small.Base = "ours, 1 GiB"
	large.Base = "ours, 1 GiB"
	if err := r.Run(Measure{Name: "m"}, 1, []Contender{fixed("ours", 8), large, small}); err != nil {
		t.Fatal(err)
	}
	if got := r.Find("m", "os, 1 GiB").Ratio; got != 0.5 {
		t.Errorf("%v", got)
	}
	// Contenders with the same base stay together.
	var names []string
	for _, c := range r.Tables()[0].Cells {
		names = append(names, c.Name)
	}
	if want := []string{"ours", "ours, 1 GiB", "os, 1 GiB"}; !slices.Equal(names, want) {
		t.Errorf("%v", names)
	}
}

func TestTargets(t *testing.T) {
	var r Report
	if err := r.Run(Measure{Name: "m"}, 1, []Contender{fixed("ours", 3), fixed("other", 4)}); err != nil {
		t.Fatal(err)
	}
	ours, other := r.Find("m", "ours"), r.Find("m", "other")
	r.TargetRatio("close", 0.75, ours, other)
	r.TargetRatio("closer", 0.74, ours, other)
	r.TargetRatio("not measured", 1, ours, r.Find("n", "other"))
	r.TargetMedian("size", 0.002, ours, 1e-3)
	want := []Target{{"close", 0.75, 0.75, 0.75, 0.75}, {"closer", 0.74, 0.75, 0.75, 0.75}, {"size", 0.002, 0.003, 0.003, 0.003}}
	if !slices.Equal(r.Targets, want) || want[0].Verdict() != "met" || want[1].Verdict() != "missed" {
		t.Errorf("%+v", r.Targets)
	}
}

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
	if !math.IsNaN(Percentile(nil, 50)) || !math.IsNaN(Median(nil)) {
		t.Error("the percentile of no samples is not NaN")
	}
	if got := Median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median %v", got)
	}
}

// command is a program with two measures and a matrix.
var command = Command{
	Path: "some/toys", Rounds: 4, Quick: 2,
	Set: func(f *Flags) string { return "toys" },
	Measure: func(_ context.Context, f *Flags, r *Report) error {
		r.Notes = []Note{{"ours", "as documented"}}
		if f.Only.MatchString("speed") {
			err := r.Run(Measure{Name: "speed", Title: "Speed of it", Unit: "ns", Format: "%.1f"}, f.Rounds,
				[]Contender{fixed("ours", 1, 1, 1, 1), fixed("other", 2, 2, 2, 2)})
			if err != nil {
				return err
			}
		}
		for _, name := range []string{"cut", "flipped"} {
			r.Measures = append(r.Measures, Measure{Name: name, Title: name, Matrix: "Damage"})
			r.Cell(name, "ours").Outcome = "fetched"
		}
		r.Cell("flipped", "other").Outcome = "WRONG"
		r.TargetRatio("speed", 0.4, r.Find("speed", "ours"), r.Find("speed", "other"))
		return nil
	},
}

func TestCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	var out bytes.Buffer
	if err := command.Run(t.Context(), []string{"-quick", "-json", file}, &out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"Set-up ours as documented", "toys; quick, and so a hint",
		"Speed of it contender ns min-max base/it min-max note ours 1.0 1.0-1.0 1.00 1.00-1.00 other 2.0 2.0-2.0 0.50 0.50-0.50",
		"Damage ours other cut fetched flipped fetched WRONG", "speed at most 0.4 is 0.5 missed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	c := r.Conditions
	if r.Kind != "toys" || !c.Quick || c.Command != "go run ./bench/some/toys -quick -json "+file || len(r.Cells) != 5 || len(r.Find("speed", "other").Samples) != 2 {
		t.Errorf("%s", b)
	}
}

func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-rounds 0": "-rounds is 0", "extra": `"extra"`, "-only (": "-only", "-nonsense": "-nonsense",
	} {
		err := command.Run(t.Context(), strings.Fields(args), new(bytes.Buffer))
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, new(usageError)) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if err := Usage(flag.ErrHelp); errors.As(err, new(usageError)) {
		t.Error("-h is reported as wrong usage")
	}
}
