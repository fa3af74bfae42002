package fleet

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

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
	s := settings{Config: Default()}
	f := flag.NewFlagSet("bench fleet", flag.ContinueOnError)
	s.register(f)
	variants := f.String("variants", names(Variants()), "which to compare")
	f.StringVar(&s.json, "json", "", "write the report to this `file` as well")
	err := compare.ParseFlags(f, args)
	if errors.Is(err, flag.ErrHelp) {
		return s, err
	}
	if err == nil {
		s.variants, err = variantsOf(*variants)
	}
	if err == nil {
		err = s.validate()
	}
	if err != nil {
		return s, fmt.Errorf("fleet: %w", err)
	}
	return s, nil
}

func names(variants []Variant) string {
	var all []string
	for _, v := range variants {
		all = append(all, v.Name)
	}
	return strings.Join(all, ",")
}

func variantsOf(list string) (chosen []Variant, err error) {
	for name := range strings.SplitSeq(list, ",") {
		n := len(chosen)
		for _, v := range Variants() {
			if v.Name == name {
				chosen = append(chosen, v)
			}
		}
		if len(chosen) == n {
			return nil, fmt.Errorf("there is no variant %q: there are %s", name, names(Variants()))
		}
	}
	return chosen, nil
}
