// Command files measures the file cache beside what it takes the place of: the
// downloaders of the AWS SDK, a plain GetObject into a file, and package os.
//
//	go run ./bench/files                      everything, in some minutes
//	go run ./bench/files -quick               to see that it works
//	go run ./bench/files -only '^(large|new)' measures by name
//
// Each round takes one sample of each contender, in an order that moves on by one
// from round to round. A ratio is the median of the rounds' own ratios.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/internal/conditions"
)

// settings are the command line.
type settings struct {
	rounds int
	quick  bool
	only   *regexp.Regexp
	json   string
}

func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("files", flag.ContinueOnError)
	f.IntVar(&s.rounds, "rounds", 9, "samples to take of each contender")
	f.BoolVar(&s.quick, "quick", false, "one round, small sizes: only to see that it works")
	f.StringVar(&s.json, "json", "", "write the results to this `file` as well")
	only := f.String("only", "", "measure what matches this `regexp`")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if s.quick {
		s.rounds = 1
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
	origin.ServeIfChild()
	s, err := parse(os.Args[1:])
	if err == flag.ErrHelp {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "files:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err = run(ctx, s, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "files:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, args []string) error {
	r := results{Conditions: newConditions(s, args)}
	dir, err := os.MkdirTemp("", "warmcache-files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, m := range measures(s) {
		if !s.only.MatchString(m.Name) {
			continue
		}
		if err := m.run(ctx, dir, s.rounds, &r); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	r.Conditions.LoadAfter = conditions.LoadAverage()
	if err := r.print(os.Stdout); err != nil || s.json == "" {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.json, append(b, '\n'), 0o644)
}
