// Package run measures a function through the life of its containers: cold, warm,
// frozen and thawed, crashed, timed out, and with several invocations at once. Its
// Command does so for the user's own function.
package run

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/internal/compare"
)

// settings are the command line.
type settings struct {
	Latencies
	host        string
	binary      string
	args        []string
	public      []string // the command line without the values of variables and the program's arguments
	env         []string
	events      [][]byte
	rounds      int
	warm        int
	timeout     time.Duration
	initTimeout time.Duration
	memoryMB    int
	concurrency int
	handler     string
	extensions  []string
	buckets     [][2]string // names and directories
	databases   [][2]string // names of variables and URLs
	varies      bool
	verbose     bool
	json        string
	logs        io.Writer
	print       func(string)
}

const usage = `usage: bench run [flags] -- PROGRAM [ARGUMENTS]

Runs PROGRAM as its cloud does, in containers that are cold, warm, frozen and
thawed, crashed and timed out, and prints how long its callers wait. PROGRAM is
the file with the name bootstrap on Lambda, any program that uses the Runtime API,
such as one with aws-lambda-go; or with -host openwhisk the file with the name
exec there, one that speaks the ActionLoop.

    GOOS=linux go build -o bootstrap .               # in the folder of your function
    go run ./bench run -- path/to/it/bootstrap       # in the checkout of warmcache

    # with its bucket on a real S3 server and its PostgreSQL, as far away as in the cloud
    go run ./bench run -s3 prices=path/to/files -db DATABASE_URL=postgres://me@localhost:5432/shop -- path/to/it/bootstrap

Flags stand before PROGRAM. It inherits no variables of this environment except
those of the flags; its working directory is its own folder, and TMPDIR its own
/tmp. It runs with your rights, and not in a sandbox.

The exit status is 0 if the function answered in every state, 1 if it did not, if
answers to the same event differ or if it cannot run, and 2 for wrong arguments.

`

// Command is bench run. It prints to out; the function's own output goes to stderr with
// -logs. After an interrupt or SIGTERM it prints the measurements so far. The error
// describes why the function cannot run, or its failures.
func Command(ctx context.Context, args []string, out io.Writer) (err error) {
	s, err := parse(args)
	if err != nil {
		return compare.Usage(err)
	}
	s.print = func(text string) { fmt.Fprint(out, text) }
	if err := check(s.binary); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := &run{settings: s, failures: map[string]int{}}
	r.Driver = Driver{Example: s.name(), Host: s.host, Warm: s.warm, Varies: s.varies, Seen: r.note,
		Sandbox: func() (host.Sandbox, error) { return r.sandbox(1, s.timeout) }}
	r.setStatus("starting the origins")
	defer r.progress()()
	var origins Origins
	defer func() { err = errors.Join(err, origins.Close()) }()
	if r.originEnv, err = s.startOrigins(ctx, &origins); err != nil {
		return fmt.Errorf("run: start the origins: %w", err)
	}
	if len(r.originEnv) > 0 {
		r.Calls = origins.Calls
	}
	r.orphans = adoptOrphans()
	defer r.orphans.end()
	if err = r.first(ctx); err == nil {
		err = r.lives(ctx)
	}
	switch {
	case ctx.Err() != nil:
		r.why = "by an interrupt"
		return errors.Join(r.report(out), errors.New("run: interrupted"))
	case err != nil && r.invoked == 0:
		return s.explain(err)
	case err != nil:
		r.why = "by an error"
		return errors.Join(r.report(out), s.explain(err))
	}
	return r.report(out)
}

// first checks that the function can start.
func (r *run) first(ctx context.Context) error {
	r.setStatus("the first start")
	s, err := r.sandbox(1, r.timeout)
	if err != nil {
		return err
	}
	defer s.Close()
	res, err := s.Invoke(ctx, r.events[0])
	if err == nil && res.InitFailed {
		return fmt.Errorf("%w%s", res.FunctionError, ending(res.Output))
	}
	return err
}

// values is a flag that may be repeated: KEY=VALUE.
func values(into *[][2]string, form string) func(string) error {
	return func(v string) error {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" || value == "" {
			return errors.New("it is not " + form)
		}
		*into = append(*into, [2]string{name, value})
		return nil
	}
}

func parse(args []string) (settings, error) {
	var s settings
	var events string
	var logs bool
	f := flag.NewFlagSet("bench run", flag.ContinueOnError)
	f.Usage = func() { fmt.Fprint(f.Output(), usage); f.PrintDefaults() }
	repeated := func(name, usage string, secret bool, set func(string) error) {
		f.Func(name, usage+"; may be repeated", func(v string) error {
			shown := v
			if secret {
				shown, _, _ = strings.Cut(v, "=")
			}
			s.public = append(s.public, "-"+name, shown)
			return set(v)
		})
	}
	f.StringVar(&s.host, "host", "lambda", "`lambda` or openwhisk")
	f.StringVar(&events, "events", "", "read the events from this `file`, one JSON value a line; each life of a container uses the next one. Default: {}")
	repeated("env", "set `KEY=VALUE` in the function's environment, or KEY to its value here", true, s.setEnv)
	repeated("env-file", "set the variables of this `file`, KEY=VALUE or KEY a line, as docker does", false, s.readEnv)
	repeated("s3", "serve a directory as a bucket, `BUCKET=DIR`, by a real S3 server; the function's variables AWS_... have its endpoint and credentials", false, values(&s.buckets, "BUCKET=DIR"))
	s.Latencies.Register(f)
	repeated("db", "set `KEY=URL` in the function's environment, with the address of a relay instead, which delays the database by -db-latency and counts its round trips; for any TCP protocol", true, values(&s.databases, "KEY=URL"))
	f.IntVar(&s.rounds, "rounds", 20, "lives of a container to measure")
	f.IntVar(&s.warm, "warm", 5, "warm invocations in each life")
	f.DurationVar(&s.timeout, "timeout", 0, "limit for an invocation; some invocations are forced to exceed it. Default: the host's, 3s on Lambda and 1m on OpenWhisk")
	f.DurationVar(&s.initTimeout, "init-timeout", 10*time.Second, "limit for the time until the function requests its first event; on OpenWhisk it is -timeout")
	f.IntVar(&s.memoryMB, "memory", 128, "`MB` of memory in the function's environment variables; on Lambda")
	f.StringVar(&s.handler, "handler", "", "the function's `handler`, in _HANDLER. Default: the name of PROGRAM's file; on Lambda")
	repeated("extension", "start this `file` as an external extension; on Lambda", false, func(v string) error { s.extensions = append(s.extensions, v); return nil })
	f.IntVar(&s.concurrency, "concurrency", 1, "if more than 1, also measure this many invocations at once in one process, as on Lambda Managed Instances")
	f.BoolVar(&s.varies, "varies", false, "answers to the same event may differ")
	f.StringVar(&s.json, "json", "", "write the rows, with all samples, to this `file` as well")
	f.BoolVar(&s.verbose, "v", false, "show every answer")
	f.BoolVar(&logs, "logs", false, "show the function's output")
	f.SetOutput(io.Discard)
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		f.SetOutput(os.Stdout)
		f.Usage()
		return s, err
	} else if err != nil {
		return s, fmt.Errorf("run: %w: -h lists the flags", err)
	}
	if logs {
		s.logs = os.Stderr
	}
	if f.NArg() == 0 {
		return s, errors.New("run: no program given: go run ./bench run -- path/to/bootstrap (-h lists the flags)")
	}
	s.binary, s.args = f.Arg(0), f.Args()[1:]
	f.Visit(func(fl *flag.Flag) {
		if v := fl.Value.String(); v != "" { // it is empty for flags that may be repeated, which s.public has
			s.public = append(s.public, "-"+fl.Name+"="+v)
		}
	})
	s.public = append(s.public, s.binary)
	if err := s.checkArgs(f, args); err != nil {
		return s, err
	}
	s.timeout = cmp.Or(s.timeout, map[string]time.Duration{"lambda": 3 * time.Second, "openwhisk": time.Minute}[s.host])
	if err := s.validate(f); err != nil {
		return s, err
	}
	var err error
	s.events, err = readEvents(events)
	return s, err
}

// checkArgs rejects the command's flags after the program, unless -- marks them as the
// program's.
func (s *settings) checkArgs(f *flag.FlagSet, args []string) error {
	if before := len(args) - f.NArg() - 1; before >= 0 && args[before] == "--" {
		return nil
	}
	for _, a := range s.args {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		if strings.HasPrefix(a, "-") && f.Lookup(name) != nil {
			return fmt.Errorf("run: %s stands after %s: move it before the program, or put -- before the program if it is the program's", a, s.binary)
		}
	}
	return nil
}

func (s *settings) setEnv(v string) error {
	name, _, hasValue := strings.Cut(v, "=")
	if name == "" {
		return errors.New("it is neither KEY=VALUE nor KEY")
	}
	if !hasValue {
		value, ok := os.LookupEnv(name)
		if !ok {
			return fmt.Errorf("%s is not set here: write KEY=VALUE", name)
		}
		v += "=" + value
	}
	s.env = append(s.env, v)
	return nil
}

func (s *settings) readEnv(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for n, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.setEnv(line); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n+1, err)
		}
	}
	return nil
}

func (s *settings) validate(f *flag.FlagSet) error {
	for _, c := range []struct {
		wrong bool
		name  string
		must  string
	}{
		{s.host != "lambda" && s.host != "openwhisk", "host", "be lambda or openwhisk"},
		{s.rounds < 1, "rounds", "be positive"},
		{s.warm < 0, "warm", "not be negative"},
		{s.timeout <= 0, "timeout", "be positive"},
		{s.initTimeout <= 0, "init-timeout", "be positive"},
		{s.memoryMB < 1, "memory", "be positive"},
		{s.concurrency < 1, "concurrency", "be positive"},
		{s.FirstByte < 0, "s3-latency", "not be negative"},
		{s.Bandwidth < 0, "s3-bandwidth", "not be negative"},
		{s.Database < 0, "db-latency", "not be negative"},
		{s.concurrency > 1 && s.host == "openwhisk", "concurrency", "be 1 on OpenWhisk, which gives a Go action one activation at a time"},
	} {
		if c.wrong {
			return fmt.Errorf("run: -%s is %s: it must %s", c.name, f.Lookup(c.name).Value, c.must)
		}
	}
	if s.host == "openwhisk" && (len(s.extensions) > 0 || s.handler != "") {
		return errors.New("run: -extension and -handler are for Lambda")
	}
	for _, v := range s.buckets {
		if info, err := os.Stat(v[1]); err != nil || !info.IsDir() {
			return fmt.Errorf("run: -s3 %s=%s: it must name a directory", v[0], v[1])
		}
	}
	return nil
}

// name returns the function's name in the table. It includes the folder, since most
// functions have the file name bootstrap.
func (s *settings) name() string {
	abs, _ := filepath.Abs(s.binary) // fails only without a working directory
	return filepath.Base(filepath.Dir(abs)) + "/" + filepath.Base(abs)
}
