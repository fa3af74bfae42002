// Command bench measures what the library gives a function: it runs the example
// actions as real processes under a Lambda and an OpenWhisk host that freeze,
// crash and end their containers, against real origins behind realistic
// latencies, and compares each answer byte by byte with that of the same action
// without the library. It ends with a report, one HTML page.
//
//	go run ./bench                      the main job
//	go run ./bench -quick -json FILE    in half a minute, and for machines too
//	go run ./bench run -- ./bootstrap   your own function, through the same life
//	go run ./bench fleet                a thousand containers, simulated
//
// With -h it lists its commands and flags.
package main

import (
	"context"
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

// commands are the names that the first argument may be. Without one it is the main
// job.
var commands = []struct {
	name, about string
	run         func(ctx context.Context, args []string, out io.Writer) error
}{
	{"fleet", "simulate a fleet of containers in virtual time", fleet.Command},
	{"run", "drive your own function through cold, warm, frozen, crashed and timed out", run.Command},
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

// quickRounds are few enough for half a minute, and enough for a p90.
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
	fmt.Fprint(w, "usage: bench [flags]            measure the examples, and write a report\n")
	for _, c := range commands {
		fmt.Fprintf(w, "       bench %-5s [flags] ...  %s\n", c.name, c.about)
	}
	fmt.Fprint(w, `
       go run ./bench/files      measure the file cache beside S3's own downloaders
       go run ./bench/peers      measure the memory cache beside its peers
`)
	fmt.Fprint(w, "\nEach command has a -h of its own. The flags of the main job:\n")
	s.PrintDefaults()
}

// String is the conditions of the measurement.
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
	fmt.Fprintf(out, "\n%s\n\n", file.Conditions)
	if err := result.WriteTable(out, file.Rows); err != nil {
		return err
	}
	fmt.Fprint(out, `
Times are what the caller waits for; calls and bytes are per invocation. The
library's share of a cold start is the difference to a cold start without it.
Answers were compared byte by byte with those of the action without the library,
except of counter and presign, whose answers differ each time.
`)
	if err := file.Write(s.JSON); err != nil || s.report == "" {
		return err
	}
	return writeReport(out, s.report, file)
}

// writeReport writes the page, with the results that the repository has.
func writeReport(out io.Writer, dir string, f result.File) error {
	root, err := checkout.Root()
	if err != nil {
		return err
	}
	kept, err := filepath.Glob(filepath.Join(root, "bench", "results", "*.json"))
	if err != nil {
		return err
	}
	page, err := report.Write(dir, f, kept)
	if err == nil {
		_, err = fmt.Fprintf(out, "\nThe report: %s\n", page)
	}
	return err
}
