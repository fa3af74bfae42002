// Package run is the command that drives a function of the user's own through the
// life of its containers: cold, warm, frozen and thawed, crashed, timed out, and
// with several invocations at once.
package run

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

	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/conditions"
)

// settings are the command line.
type settings struct {
	host        string
	binary      string
	args        []string
	env         []string
	events      [][]byte
	rounds      int
	warm        int
	timeout     time.Duration
	initTimeout time.Duration
	memoryMB    int
	concurrency int
	json        string
	logs        io.Writer
}

const usage = `usage: bench run [flags] -- PROGRAM [ARGUMENTS]

Drives PROGRAM as its cloud does, in containers that are cold, warm, frozen and
thawed, crashed and timed out, and prints what its callers wait for. PROGRAM is
the file that is called bootstrap on Lambda, any program that speaks the Runtime
API, such as one with aws-lambda-go; or with -host openwhisk the file that is
called exec there, one that speaks the ActionLoop.

    GOOS=linux go build -o bootstrap .               # in the folder of your function
    go run ./bench run -- path/to/it/bootstrap       # in the checkout of warmcache

Flags stand before PROGRAM. It sees nothing of this environment but what -env gives
it, its working directory is the one that it lies in, and TMPDIR is its own /tmp. It
runs with your rights, and not in a sandbox.

`

// Command is bench run. It prints to out, and what the function itself prints goes
// to stderr with -logs. The error of a function is a figure of the table; what is
// returned is what keeps it from running at all.
func Command(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if err := check(s.binary); err != nil {
		return err
	}
	d := newDriver(s)
	if err := d.drive(ctx); err != nil {
		return s.explain(err)
	}
	return d.report(out, args)
}

func parse(args []string) (settings, error) {
	var s settings
	var events string
	var logs bool
	f := flag.NewFlagSet("bench run", flag.ContinueOnError)
	f.Usage = func() { fmt.Fprint(f.Output(), usage); f.PrintDefaults() }
	f.StringVar(&s.host, "host", "lambda", "`lambda` or openwhisk")
	f.StringVar(&events, "events", "", "read the events from this `file`, one JSON a line; each life of a container has the next one. Default: {}")
	f.Func("env", "set `KEY=VALUE` in the function's environment; may be repeated", func(v string) error {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" {
			return errors.New("it is not KEY=VALUE")
		}
		s.env = append(s.env, v)
		return nil
	})
	f.IntVar(&s.rounds, "rounds", 20, "lives of a container to measure")
	f.IntVar(&s.warm, "warm", 5, "warm invocations in each life")
	f.DurationVar(&s.timeout, "timeout", 3*time.Second, "how long an invocation may take; some of them are made to take longer")
	f.DurationVar(&s.initTimeout, "init-timeout", 10*time.Second, "how long the function may take until it asks for its first event; on OpenWhisk it is -timeout")
	f.IntVar(&s.memoryMB, "memory", 128, "`MB` that the function is told it has; on Lambda")
	f.IntVar(&s.concurrency, "concurrency", 1, "with more than 1: also so many invocations at once in one process, as on Lambda Managed Instances")
	f.StringVar(&s.json, "json", "", "write the rows, with all samples, to this `file` as well")
	f.BoolVar(&logs, "logs", false, "show what the function prints")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if logs {
		s.logs = os.Stderr
	}
	if f.NArg() == 0 {
		return s, errors.New("run: no program given: go run ./bench run -- path/to/bootstrap (-h says more)")
	}
	s.binary, s.args = f.Arg(0), f.Args()[1:]
	if err := s.validate(); err != nil {
		return s, err
	}
	var err error
	s.events, err = readEvents(events)
	return s, err
}

func (s *settings) validate() error {
	switch {
	case s.host != "lambda" && s.host != "openwhisk":
		return fmt.Errorf("run: -host is %q: it must be lambda or openwhisk", s.host)
	case s.rounds < 1:
		return fmt.Errorf("run: -rounds is %d: it must be positive", s.rounds)
	case s.warm < 0:
		return fmt.Errorf("run: -warm is %d: it must not be negative", s.warm)
	case s.timeout <= 0:
		return fmt.Errorf("run: -timeout is %v: it must be positive", s.timeout)
	case s.memoryMB < 1:
		return fmt.Errorf("run: -memory is %d: it must be positive", s.memoryMB)
	case s.concurrency < 1:
		return fmt.Errorf("run: -concurrency is %d: it must be positive", s.concurrency)
	case s.concurrency > 1 && s.host == "openwhisk":
		return errors.New("run: -concurrency is for Lambda: OpenWhisk gives a Go action one activation at a time")
	}
	return nil
}

// name is what the table calls the function: two of them are mostly in folders of
// their own, and both called bootstrap.
func (s *settings) name() string {
	abs, err := filepath.Abs(s.binary)
	if err != nil {
		return s.binary
	}
	return filepath.Base(filepath.Dir(abs)) + "/" + filepath.Base(abs)
}

// report prints and writes what was measured.
func (d *driver) report(out io.Writer, args []string) error {
	file := result.NewFile(conditions.Here("go run ./bench run", args, d.String()), d.rows())
	c := file.Conditions
	fmt.Fprintf(out, "\n%s, %s, %d CPUs; %s\n\n", c.Platform, c.CPU, c.CPUs, c.Set)
	if err := result.WriteTable(out, file.Rows); err != nil {
		return err
	}
	fmt.Fprint(out, "\nTimes are what the caller waits for.\n")
	d.writeFindings(out)
	if d.json == "" {
		return nil
	}
	return file.Write(d.json)
}
