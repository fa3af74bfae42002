package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/warmcache/warmcache/internal/conditions"
)

// realCommand is `bench fleet real`.
func realCommand(ctx context.Context, args []string, out io.Writer) error {
	c, file, err := parseReal(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := Real(ctx, c)
	if err != nil {
		return err
	}
	r.Conditions = conditions.Here("go run ./bench fleet real", args, "")
	if err := r.WriteTable(out); err != nil {
		return err
	}
	if err := writeJSON(file, r); err != nil {
		return err
	}
	return r.fault()
}

func parseReal(args []string, out io.Writer) (c RealConfig, file string, err error) {
	c = DefaultReal()
	f := flag.NewFlagSet("bench fleet real", flag.ContinueOnError)
	f.SetOutput(out)
	f.IntVar(&c.Processes, "processes", c.Processes, "containers, each a process")
	f.DurationVar(&c.Phase, "phase", c.Phase, "time for each of three phases: Redis runs, is killed, runs again")
	f.DurationVar(&c.Pause, "pause", c.Pause, "pause of a container between two requests")
	f.DurationVar(&c.Writes, "writes", c.Writes, "time between two changes of the database")
	f.DurationVar(&c.TTL, "ttl", c.TTL, "TTL of the caches")
	f.IntVar(&c.Products, "products", c.Products, "products of each tenant")
	f.IntVar(&c.Tenants, "tenants", c.Tenants, "tenants")
	f.StringVar(&file, "json", "", "write the result to this `file` as well")
	if err := f.Parse(args); err != nil {
		return c, file, err
	}
	if f.NArg() > 0 {
		return c, file, fmt.Errorf("fleet real: unexpected argument %q", f.Arg(0))
	}
	return c, file, nil
}

func writeJSON(file string, v any) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// fault is an error if anything was wrong.
func (r *RealResult) fault() error {
	for _, p := range r.Phases {
		if p.Errors+p.Wrong > 0 {
			return fmt.Errorf("fleet real: %s: %d errors and %d wrong answers; the first of all: %s", p.Name, p.Errors, p.Wrong, r.First)
		}
	}
	return nil
}

// WriteTable writes r for people.
func (r *RealResult) WriteTable(w io.Writer) error {
	c := &r.Config
	fmt.Fprintf(w, "\n%d processes of the example catalog, %d keys, TTL %v, a row changed every %v; redis-server killed by SIGKILL after %v, started again after %v\n\n",
		c.Processes, c.Products*c.Tenants, c.TTL, c.Writes, c.Phase, 2*c.Phase)
	t := newTable(w)
	fmt.Fprintln(t, "phase\trequests\terrors\twrong\tloads\tper request\tkeys of Redis\tp50 ms\tp99 ms\tmax ms\t")
	for _, p := range r.Phases {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.1f%%\t%d\t%.2f\t%.2f\t%.2f\t\n",
			p.Name, p.Requests, p.Errors, p.Wrong, p.Loads, 100*part(p.Loads, p.Requests), p.Shared, p.P50, p.P99, p.Max)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nEach answer was compared with what the database had at the time.")
	return err
}
