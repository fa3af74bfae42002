package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/report"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/conditions"
)

// settings are the command line of the main job.
type settings struct {
	rounds    int
	quick     bool
	json      string
	firstByte time.Duration
	bandwidth int
	database  time.Duration
	only      string
	report    string
	include   string
	prices    report.Prices
}

// quickRounds are few enough for half a minute.
const quickRounds = 8

func parse(args []string) (settings, error) {
	s := settings{prices: report.DefaultPrices()}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.Usage = func() { usage(f) }
	f.IntVar(&s.rounds, "rounds", 100, "lives of a container to measure per example and host")
	f.BoolVar(&s.quick, "quick", false, "few rounds: ends within 45 s once built")
	f.StringVar(&s.only, "only", "", "measure these `examples` alone, separated by commas")
	f.StringVar(&s.json, "json", "", "write the rows, with all samples, to this `file` as well")
	f.StringVar(&s.report, "report", "bench-report", "write the report into this `directory`; empty: none")
	f.StringVar(&s.include, "include", "", "show these `files` of results in the report, separated by commas, instead of those in bench/results")
	f.DurationVar(&s.firstByte, "s3-latency", origin.DefaultFirstByte, "time to the first byte of an answer from S3")
	f.IntVar(&s.bandwidth, "s3-bandwidth", origin.DefaultBandwidth, "bytes per second of a connection to S3")
	f.DurationVar(&s.database, "db-latency", origin.DefaultToll, "round trip of a database statement")
	s.prices.Flags(f)
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q: the commands are listed by -h", f.Arg(0))
	case s.rounds < 1:
		return s, fmt.Errorf("-rounds is %d: it must be positive", s.rounds)
	}
	if s.quick {
		s.rounds = min(s.rounds, quickRounds)
	}
	return s, nil
}

func usage(f *flag.FlagSet) {
	w := f.Output()
	fmt.Fprint(w, "usage: bench [flags]            measure the examples, and write a report\n")
	for _, c := range commands {
		fmt.Fprintf(w, "       bench %-5s [flags] ...  %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "\nEach command has a -h of its own. The flags of the main job:\n")
	f.PrintDefaults()
}

// mainJob measures the examples.
func mainJob(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	rows, err := measureAll(ctx, s)
	if err != nil {
		return err
	}
	file := result.File{Conditions: conditions.Here("go run ./bench", args, s.String()), Rows: rows}
	if err := writeRows(out, file); err != nil {
		return err
	}
	if s.json != "" {
		if err := file.Write(s.json); err != nil {
			return err
		}
	}
	return writeReport(out, s, file)
}

// String says under which conditions it is measured.
func (s settings) String() string {
	return fmt.Sprintf("S3 %v to the first byte and %.0f MB/s per connection, database %v per statement; %d rounds",
		s.firstByte, float64(s.bandwidth)/1e6, s.database, s.rounds)
}

func writeRows(out io.Writer, f result.File) error {
	c := f.Conditions
	fmt.Fprintf(out, "\n%s, %s, %s, %d CPUs; %s\n\n", c.Go, c.Platform, c.CPU, c.CPUs, c.Set)
	if err := result.WriteTable(out, f.Rows); err != nil {
		return err
	}
	_, err := fmt.Fprint(out, `
Times are what the caller waits for; calls and bytes are per invocation. Answers
were compared byte by byte with those of the action without the library, except
of counter and presign, whose answers differ each time.
`)
	return err
}

func writeReport(out io.Writer, s settings, f result.File) error {
	if s.report == "" {
		return nil
	}
	included, err := included(s.include)
	if err != nil {
		return err
	}
	page, err := report.Write(s.report, report.Data{Examples: f, Prices: s.prices}, included)
	if err == nil {
		_, err = fmt.Fprintf(out, "\nThe report: %s\n", page)
	}
	return err
}

// included are the files that were named, or those that the repository has.
func included(list string) (files []string, err error) {
	if list != "" {
		return strings.Split(list, ","), nil
	}
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"peers.json", "fleet.json", "files.json", "faults.json"} {
		file := filepath.Join(root, "bench", "results", name)
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files, nil
}

// measureAll builds the actions, starts their origins, and measures each.
func measureAll(ctx context.Context, s settings) (rows []result.Row, err error) {
	dir, err := os.MkdirTemp("", "warmcache-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	say("building the actions")
	all, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(all, s.only)
	if err != nil {
		return nil, err
	}
	say("starting the origins")
	o, err := startOrigins(ctx, dir, s)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := o.close(); err == nil {
			err = cerr
		}
	}()
	return measureEach(ctx, chosen, o, s.rounds)
}

// measureEach leaves out what cannot run here, and says so.
func measureEach(ctx context.Context, chosen []example, o *origins, rounds int) (rows []result.Row, err error) {
	for _, e := range chosen {
		measured, err := prepareAndMeasure(ctx, e, o, rounds)
		if errors.Is(err, errSkip) {
			say("%s is %v", e.name, err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		rows = append(rows, measured...)
	}
	return rows, nil
}

func prepareAndMeasure(ctx context.Context, e example, o *origins, rounds int) ([]result.Row, error) {
	if e.prepare != nil {
		if err := e.prepare(ctx, e, o); err != nil {
			return nil, err
		}
	}
	p := newProgress(e.name, e.lives(rounds))
	defer p.done()
	return measure(ctx, e, o, rounds, p)
}

// choose picks the examples that a comma-separated list names, all if it is empty.
func choose(all []example, list string) (chosen []example, err error) {
	if list == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		e, ok := find(all, name)
		if !ok {
			return nil, fmt.Errorf("-only: there is no example %q", name)
		}
		chosen = append(chosen, e)
	}
	return chosen, nil
}

func find(all []example, name string) (example, bool) {
	for _, e := range all {
		if e.name == name {
			return e, true
		}
	}
	return example{}, false
}
