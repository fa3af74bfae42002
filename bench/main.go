// Command bench measures the time that the library saves a function. It runs the
// example actions as real processes under a Lambda and an OpenWhisk host that freeze,
// crash and end their containers, against real origins with realistic latencies. It
// compares each answer byte by byte with that of the same action without the library,
// and writes a report, one HTML page.
//
//	go run ./bench                      measure the examples
//	go run ./bench -quick -json FILE    within 45 s, with the rows as JSON too
//	go run ./bench run -- ./bootstrap   your own function, in the same states
//	go run ./bench fleet                a thousand containers, simulated
//	go run ./bench report               RESULTS.md and the page from bench/results
//
// With -h it lists its commands and flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/bench/fleet"
	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/report"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/bench/run"
	"github.com/warmcache/warmcache/internal/compare"
	"github.com/warmcache/warmcache/internal/conditions"
)

// commands are the possible first arguments. Without one, bench runs the main job.
var commands = []struct {
	name, about string
	run         func(ctx context.Context, args []string, out io.Writer) error
}{
	{"fleet", "simulate a fleet of containers in virtual time", fleet.Command},
	{"run", "measure your own function: cold, warm, frozen, crashed and timed out", run.Command},
	{"report", "write the page, bench/RESULTS.md and its picture from bench/results", updateReport},
}

func main() {
	origin.ServeIfChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx, os.Args[1:])
	stop()
	compare.Exit("bench", err)
}

func dispatch(ctx context.Context, args []string) error {
	for _, c := range commands {
		if len(args) > 0 && args[0] == c.name {
			return c.run(ctx, args[1:], os.Stdout)
		}
	}
	return mainJob(ctx, args, os.Stdout)
}

// settings are the command line of the main job.
type settings struct {
	*compare.Flags
	run.Latencies
	report string
}

// quickRounds is small enough for -quick and large enough for a p90.
const quickRounds = 10

func parse(args []string) (settings, error) {
	s := settings{Flags: compare.NewFlags("bench", 100, quickRounds)}
	s.Usage = s.usage
	s.StringVar(&s.report, "report", "bench-report", "write the report into this `directory`; empty: none")
	s.Latencies.Register(s.FlagSet)
	return s, compare.Usage(s.Parse(args))
}

func (s settings) usage() {
	w := s.Output()
	fmt.Fprint(w, "usage: bench [flags]             measure the examples, and write a report\n")
	for _, c := range commands {
		fmt.Fprintf(w, "       bench %-6s [flags] ...  %s\n", c.name, c.about)
	}
	fmt.Fprint(w, `
       go run ./bench/files      measure the file cache beside S3's own downloaders
       go run ./bench/peers      measure the memory cache beside its peers

Each command has a -h of its own. The flags of the main job:
`)
	s.PrintDefaults()
}

// String describes the conditions of the measurement.
func (s settings) String() string {
	return fmt.Sprintf("S3 %v to the first byte and %.0f MB/s per connection, database %v per statement; %d rounds",
		s.FirstByte, float64(s.Bandwidth)/1e6, s.Database, s.Rounds)
}

// mainJob measures the examples.
func mainJob(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	c := conditions.Here("go run ./bench", args, s.String())
	c.Quick = s.Quick
	rows, err := measureAll(ctx, s)
	if err != nil {
		return err
	}
	file := result.NewFile(c, rows)
	if err := file.WriteTable(out); err != nil {
		return err
	}
	fmt.Fprint(out, `
Times are from the call to its answer; calls and bytes are per invocation. The
library's share of a cold start is the difference to a cold start without it. Every
answer was the same, byte by byte, as that of the action without the library. The
answers of counter and presign differ each time, and were not compared.
`)
	if err := file.Write(s.JSON); err != nil || s.report == "" {
		return err
	}
	return writeReport(out, s.report, file)
}

// writeReport writes the page, including the results in the repository.
func writeReport(out io.Writer, dir string, f result.File) error {
	_, kept, err := keptResults()
	if err != nil {
		return err
	}
	page, err := report.Write(dir, f, kept)
	if err == nil {
		_, err = fmt.Fprintf(out, "\nThe report: %s\n", page)
	}
	return err
}

// updateReport is the command report.
func updateReport(_ context.Context, args []string, out io.Writer) error {
	if err := compare.ParseFlags(flag.NewFlagSet("bench report", flag.ContinueOnError), args); err != nil {
		return compare.Usage(err)
	}
	dir, kept, err := keptResults()
	if err != nil {
		return err
	}
	return errors.Join(report.Update(dir, kept), writeReport(out, "bench-report", result.File{}))
}

// keptResults returns the directory bench and its files of results.
func keptResults() (dir string, files []string, err error) {
	root, err := checkout.Root()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(root, "bench")
	files, err = filepath.Glob(filepath.Join(dir, "results", "*.json"))
	return dir, files, err
}
