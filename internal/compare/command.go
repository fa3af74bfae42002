package compare

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"regexp"
	"syscall"

	"github.com/warmcache/warmcache/internal/conditions"
)

// Flags are the common flags of measuring commands.
type Flags struct {
	*flag.FlagSet
	Rounds int
	Quick  bool
	Only   *regexp.Regexp
	JSON   string

	quickRounds int
}

// NewFlags returns the flags of a command. rounds is the default of -rounds, and
// quickRounds is its maximum with -quick.
func NewFlags(command string, rounds, quickRounds int) *Flags {
	f := &Flags{FlagSet: flag.NewFlagSet(command, flag.ContinueOnError), Only: regexp.MustCompile(""), quickRounds: quickRounds}
	f.IntVar(&f.Rounds, "rounds", rounds, "samples to take of each contender and measure")
	f.BoolVar(&f.Quick, "quick", false, "few rounds and small sizes: a hint, not a measurement")
	f.StringVar(&f.JSON, "json", "", "write the results to this `file` as well")
	f.Func("only", "measure only names that match this `regexp`", func(s string) (err error) {
		f.Only, err = regexp.Compile(s)
		return err
	})
	return f
}

// Parse parses and checks the arguments. For -h it prints the flags on stdout and
// returns flag.ErrHelp.
func (f *Flags) Parse(args []string) error {
	if err := ParseFlags(f.FlagSet, args); err != nil {
		return err
	}
	if f.Rounds < 1 {
		return fmt.Errorf("-rounds is %d: it must be positive", f.Rounds)
	}
	if f.Quick {
		f.Rounds = min(f.Rounds, f.quickRounds)
	}
	return nil
}

// ParseFlags parses the arguments of a command that accepts only flags. The caller prints
// the error. For -h, ParseFlags prints the flags on stdout.
func ParseFlags(f *flag.FlagSet, args []string) error {
	f.SetOutput(io.Discard)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(os.Stdout)
		f.Usage()
		return err
	case err != nil:
		return fmt.Errorf("%w: -h lists the flags", err)
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q: -h lists the flags", f.Arg(0))
	}
	return nil
}

// Command is a program that measures.
type Command struct {
	Path      string   // below bench; the last element is the kind of its Report
	Rounds    int      // default of -rounds
	Quick     int      // maximum of -rounds with -quick
	Libraries []string // the versions of modules whose paths contain these are reported

	Set     func(f *Flags) string // describes the chosen settings
	Measure func(ctx context.Context, f *Flags, r *Report) error
}

// Main runs the command with the arguments of the process, and then exits. The status is
// 2 for wrong arguments and 1 if the measurement fails. An interrupt or SIGTERM ends it
// early.
func (c Command) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := c.Run(ctx, os.Args[1:], os.Stdout)
	stop()
	Exit(path.Base(c.Path), err)
}

// Usage marks err as an error in the arguments, which has its own exit status.
func Usage(err error) error {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{err}
}

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Exit ends the process with the status for err.
func Exit(command string, err error) {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

// Run measures and writes tables to out.
func (c Command) Run(ctx context.Context, args []string, out io.Writer) error {
	f := NewFlags(path.Base(c.Path), c.Rounds, c.Quick)
	if err := f.Parse(args); err != nil {
		return Usage(err)
	}
	r := &Report{Kind: path.Base(c.Path), Conditions: conditions.Here("go run ./bench/"+c.Path, args, c.Set(f), c.Libraries...)}
	r.Conditions.Quick = f.Quick
	if err := c.Measure(ctx, f, r); err != nil {
		return err
	}
	r.Conditions.LoadAfter = conditions.LoadAverage()
	if err := r.WriteTable(out); err != nil {
		return err
	}
	return WriteJSON(f.JSON, r)
}
