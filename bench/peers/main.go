// Command peers measures the memory cache of warmcache beside other Go caches:
// hits, misses with a coalesced load, memory, binary size and hit ratio, all in
// one run.
//
//	go run ./bench/peers                               everything, in some minutes
//	go run ./bench/peers -quick                        to see that it works
//	go run ./bench/peers -only '^(hit|allocs)/'        measures or libraries by name
//	go run ./bench/peers -trace web07.trace.xz         hit ratios on a recorded trace
//
// Each round measures every library once, in an order that moves on by one from
// round to round, so that a noisy minute of the machine meets all of them. A
// ratio is the median of the rounds' own ratios.
//
// A trace is a file of big-endian int32 keys, xz-compressed if its name ends in
// .xz. Without one, hit ratios are measured on a generated Zipf stream.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/warmcache/warmcache/internal/conditions"
)

// settings are the command line.
type settings struct {
	rounds int
	quick  bool
	only   *regexp.Regexp
	json   string
	traces []string
}

// sampleTime is how long a timed sample takes, once it is calibrated.
func (s settings) sampleTime() time.Duration {
	if s.quick {
		return 10 * time.Millisecond
	}
	return 150 * time.Millisecond
}

func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.IntVar(&s.rounds, "rounds", 8, "samples to take of each library and measure")
	f.BoolVar(&s.quick, "quick", false, "two rounds of short samples, and only the start of a trace")
	f.StringVar(&s.json, "json", "", "write the results to this `file` as well")
	only := f.String("only", "", "measure what matches this `regexp`, as measure/library")
	f.Func("trace", "measure hit ratios on this `file`; may be repeated", func(file string) error {
		s.traces = append(s.traces, file)
		return nil
	})
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if s.quick {
		s.rounds = min(s.rounds, 2)
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.rounds < 1:
		return s, fmt.Errorf("-rounds is %d: it must be positive", s.rounds)
	}
	var err error
	if s.only, err = regexp.Compile(*only); err != nil {
		return s, fmt.Errorf("-only: %w", err)
	}
	return s, nil
}

func main() {
	s, err := parse(os.Args[1:])
	if err == flag.ErrHelp {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(s settings) error {
	r := results{Conditions: newConditions(s)}
	for _, measure := range []func(settings, *results) error{
		measureTimes, measureAllocs, measureMemory, measureBinaries, measureRatios,
	} {
		if err := measure(s, &r); err != nil {
			return err
		}
	}
	r.Conditions.LoadAfter = conditions.LoadAverage()
	r.Targets = checkTargets(&r)
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	if s.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.json, append(b, '\n'), 0o644)
}

// say tells whoever waits what is going on.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
