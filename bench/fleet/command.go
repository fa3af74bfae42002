package fleet

import (
	"context"
	"errors"
	"flag"
	"io"
	"regexp"
	"runtime/debug"
	"slices"

	"github.com/warmcache/warmcache/internal/compare"
	"github.com/warmcache/warmcache/internal/conditions"
)

// settings are the command line.
type settings struct {
	Config
	variants []Variant
	json     string
}

// Command is `bench fleet`: it simulates and writes tables to out.
func Command(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return compare.Usage(err)
	}
	compare.Say("fleet: simulating %v", s.For)
	// With thousands of caches on the heap this saves a fifth of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(200))
	report, err := Simulate(ctx, s.Config, s.variants)
	if err != nil {
		return err
	}
	report.Conditions = conditions.Here("go run ./bench fleet", args, "virtual time: the same on every machine")
	if err := report.WriteTable(out); err != nil {
		return err
	}
	return compare.WriteJSON(s.json, report)
}

func parse(args []string) (settings, error) {
	s := settings{Config: Default(), variants: Variants()}
	f := flag.NewFlagSet("bench fleet", flag.ContinueOnError)
	s.register(f)
	f.Func("only", "simulate the variants that match this `regexp`", func(v string) error {
		only, err := regexp.Compile(v)
		if err != nil {
			return err
		}
		s.variants = slices.DeleteFunc(Variants(), func(v Variant) bool { return !only.MatchString(v.Name) })
		if len(s.variants) == 0 {
			return errors.New("the variants are plain, jitter, tier, lease and lease+jitter")
		}
		return nil
	})
	f.StringVar(&s.json, "json", "", "write the report to this `file` as well")
	if err := compare.ParseFlags(f, args); err != nil {
		return s, err
	}
	return s, s.validate()
}
