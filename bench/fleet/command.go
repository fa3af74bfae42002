package fleet

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
	// Caches of thousands of containers are worth some memory: it is a fifth less time.
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
		if s.variants = slices.DeleteFunc(Variants(), func(v Variant) bool { return !only.MatchString(v.Name) }); len(s.variants) == 0 {
			return fmt.Errorf("there are only %v", Variants())
		}
		return nil
	})
	f.StringVar(&s.json, "json", "", "write the report to this `file` as well")
	err := compare.ParseFlags(f, args)
	if errors.Is(err, flag.ErrHelp) {
		return s, err
	}
	if err == nil {
		err = s.validate()
	}
	if err != nil {
		return s, fmt.Errorf("fleet: %w", err)
	}
	return s, nil
}
