// Command bench measures what the library gives a function: it runs the example
// actions as real processes under a Lambda host that freezes, crashes and ends
// their containers, against real origins behind realistic latencies, and compares
// each answer byte by byte with that of the same action without the library.
//
//	go run ./bench                    the main job
//	go run ./bench -quick -json FILE  in half a minute, and for machines too
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/warmcache/warmcache/bench/origin"
)

// settings are the command line.
type settings struct {
	rounds    int
	quick     bool
	json      string
	firstByte time.Duration
	bandwidth int
	database  time.Duration
}

func parse(args []string) (settings, error) {
	var s settings
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.IntVar(&s.rounds, "rounds", 100, "lives of a container to measure per example")
	f.BoolVar(&s.quick, "quick", false, "few rounds: ends within 30 s once built")
	f.StringVar(&s.json, "json", "", "write the rows to this `file` as well")
	f.DurationVar(&s.firstByte, "s3-latency", origin.DefaultFirstByte, "time to the first byte of an answer from S3")
	f.IntVar(&s.bandwidth, "s3-bandwidth", origin.DefaultBandwidth, "bytes per second of a connection to S3")
	f.DurationVar(&s.database, "db-latency", origin.DefaultToll, "round trip of a database statement")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	switch {
	case f.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case s.rounds < 1:
		return s, fmt.Errorf("-rounds is %d: it must be positive", s.rounds)
	}
	if s.quick {
		s.rounds = min(s.rounds, 20)
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
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err = run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	rows, err := measureAll(ctx, s)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s, %d CPUs, %s/%s; S3 %v to the first byte and %.0f MB/s per connection, database %v per statement; %d rounds\n\n",
		runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, s.firstByte, float64(s.bandwidth)/1e6, s.database, s.rounds)
	if err := printTable(os.Stdout, rows); err != nil {
		return err
	}
	if s.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string]any{"rows": rows}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.json, append(b, '\n'), 0o644)
}

// measureAll builds the actions, starts their origins, and measures each.
func measureAll(ctx context.Context, s settings) (rows []row, err error) {
	dir, err := os.MkdirTemp("", "warmcache-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	say("building the actions")
	examples, err := build(ctx, dir)
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
	for _, e := range examples {
		p := newProgress(e.name, s.rounds)
		measured, err := measure(ctx, e, o, s.rounds, p)
		p.done()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		rows = append(rows, measured...)
	}
	return rows, nil
}
