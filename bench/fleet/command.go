package fleet

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/warmcache/warmcache/internal/conditions"
)

// settings are the command line.
type settings struct {
	Config
	variants []Variant
	json     string
	plots    string
}

// Command is `bench fleet`: it simulates, writes tables to out, and what else its
// flags ask for. `bench fleet real` is Real.
func Command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "real" {
		return realCommand(ctx, args[1:], out)
	}
	s, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
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
	if s.plots != "" {
		if err := report.WritePlots(s.plots); err != nil {
			return err
		}
	}
	return writeJSON(s.json, report)
}

func parse(args []string, out io.Writer) (settings, error) {
	s := settings{Config: Default()}
	f := flag.NewFlagSet("bench fleet", flag.ContinueOnError)
	f.SetOutput(out)
	s.requestFlags(f)
	s.containerFlags(f)
	s.cacheFlags(f)
	variants := f.String("variants", names(Variants()), "which to compare")
	f.StringVar(&s.json, "json", "", "write the report to this `file` as well")
	f.StringVar(&s.plots, "plots", "", "write plots as SVG and PNG into this `directory`")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("fleet: unexpected argument %q", f.Arg(0))
	}
	var err error
	if s.variants, err = variantsOf(*variants); err != nil {
		return s, err
	}
	if err := s.validate(); err != nil {
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
			return nil, fmt.Errorf("fleet: there is no variant %q: there are %s", name, names(Variants()))
		}
	}
	return chosen, nil
}

func (s *settings) requestFlags(f *flag.FlagSet) {
	f.DurationVar(&s.For, "for", s.For, "virtual time to simulate")
	f.Uint64Var(&s.Seed, "seed", s.Seed, "what chance is made of")
	f.StringVar((*string)(&s.Arrivals), "arrivals", string(s.Arrivals), "constant, poisson, bursty or diurnal")
	f.Float64Var(&s.Rate, "rate", s.Rate, "requests per second, for all containers together")
	f.Float64Var(&s.Burst, "burst", s.Burst, "requests that come at once, with -arrivals bursty")
	f.Float64Var(&s.Diurnal, "diurnal", s.Diurnal, "part by which the rate swings, with -arrivals diurnal")
	f.IntVar(&s.Products, "products", s.Products, "products that each tenant has: a key is one product of one tenant")
	f.IntVar(&s.Tenants, "tenants", s.Tenants, "tenants")
	f.Float64Var(&s.Skew, "skew", s.Skew, "exponent of Zipf's law for products and tenants; 0 means that all are as popular")
}

func (s *settings) containerFlags(f *flag.FlagSet) {
	f.IntVar(&s.Containers, "containers", s.Containers, "containers at most")
	f.StringVar((*string)(&s.Routing), "routing", string(s.Routing), "recent (the most recently used one, as Lambda) or spread (any of -containers)")
	latencyFlags(f, &s.Init, "init", "start of a container")
	latencyFlags(f, &s.Handler, "handler", "request, without its database call")
	f.DurationVar(&s.IdleHalf, "idle-half", s.IdleHalf, "after this, and each time again, half of the idle containers are reclaimed")
	f.DurationVar(&s.IdleMax, "idle-max", s.IdleMax, "after this all are; 0 means that none is")
	f.DurationVar(&s.LifeMean, "life-mean", s.LifeMean, "mean lifetime of a container; 0 means that it does not end")
	f.DurationVar(&s.LifeMax, "life-max", s.LifeMax, "and its maximum; 0 means none")
	f.DurationVar(&s.DeployAt, "deploy-at", s.DeployAt, "when all containers are replaced; 0 means never")
	f.DurationVar(&s.ClockApart, "clock-apart", s.ClockApart, "how far the containers' wall clocks are apart")
	f.BoolVar(&s.MonoStops, "mono-stops", s.MonoStops, "the monotonic clock stands still while a container is idle")
}

func (s *settings) cacheFlags(f *flag.FlagSet) {
	f.DurationVar(&s.TTL, "ttl", s.TTL, "TTL of the caches")
	f.IntVar(&s.Entries, "entries", s.Entries, "MaxEntries of each cache")
	f.Float64Var(&s.Jitter, "jitter", s.Jitter, "Jitter of the caches, where they have one")
	latencyFlags(f, &s.Database, "db", "database call")
	latencyFlags(f, &s.Tier, "tier", "call of the tier")
	f.DurationVar(&s.Lease, "lease", s.Lease, "how long a container that loads keeps others from it")
	f.DurationVar(&s.LeaseWait, "lease-wait", s.LeaseWait, "how long these wait at most")
	f.DurationVar(&s.ClockSkew, "clock-skew", s.ClockSkew, "what the caches allow for between two wall clocks; 0 means the default of package cache")
	s.Prices.Flags(f)
	f.Float64Var(&s.Prices.TierHour, "price-tier-hour", s.Prices.TierHour, "`USD` of an hour of the tier's server")
}

func latencyFlags(f *flag.FlagSet, l *Latency, name, what string) {
	f.DurationVar(&l.Median, name+"-median", l.Median, "median time of a "+what)
	f.DurationVar(&l.P99, name+"-p99", l.P99, "99th percentile of that")
}
