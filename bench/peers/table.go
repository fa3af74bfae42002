package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// section is a table of the report.
type section struct {
	measure, title, unit, format string
}

var sections = []section{
	{"hit", "Hit: one goroutine, TTL 1 h, 10,000 resident string keys, 8,192 of them read in a fixed shuffled order", "ns", "%.1f"},
	{"hit-loader", "Hit through the method that would load", "ns", "%.1f"},
	{"hit-parallel", "Hit on all cores: time over operations of all", "ns", "%.1f"},
	{"many", "Bulk get of 100 resident keys, per key", "ns", "%.1f"},
	{"miss", "Miss and instant load, coalesced: 1 M keys, capacity 10,000, context.Background", "ns", "%.0f"},
	{"miss-cancel", "The same with a context.WithCancel", "ns", "%.0f"},
	{"allocs", "Allocations of a hit", "allocs", "%.3f"},
	{"memory", "Memory of an entry over key and value: 100,000 entries, with the empty cache", "B", "%.0f"},
	{"binary", "Binary size added to an empty main (-trimpath -ldflags '-s -w')", "B", "%.0f"},
	{"binary-print", "Binary size added to a main that prints with fmt, and uses context and time", "B", "%.0f"},
	{"binary-handler", "Binary size added to a main that links net/http, encoding/json and log/slog", "B", "%.0f"},
}

// print writes all that was measured.
func (r *results) print(w io.Writer) error {
	out := &errWriter{w: w}
	r.Conditions.print(out)
	for _, s := range sections {
		r.printSection(out, s)
	}
	r.printRatios(out)
	r.printTargets(out)
	return out.err
}

// errWriter remembers the first error, for a report of many lines.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) Write(b []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	var n int
	n, e.err = e.w.Write(b)
	return n, e.err
}

func (c circumstances) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %s, %s, %d CPUs, GOMAXPROCS %d; load average before %s, after %s\n",
		c.Go, c.Platform, c.CPU, c.CPUs, c.GOMAXPROCS, c.LoadBefore, c.LoadAfter)
	fmt.Fprintln(w, c.Set)
	for _, path := range slices.Sorted(maps.Keys(c.Libraries)) {
		fmt.Fprintf(w, "  %s %s\n", path, c.Libraries[path])
	}
	fmt.Fprintf(w, "\nSet-up\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range peers() {
		if p.note != "" {
			fmt.Fprintf(t, "  %s\t%s\n", p.name, p.note)
		}
	}
	t.Flush()
}

func (r *results) printSection(w io.Writer, s section) {
	cells := r.of(s.measure)
	if len(cells) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", s.title)
	for _, base := range r.of(s.measure + "-base") {
		fmt.Fprintf(w, "%s: %.0f B\n", base.Library, base.Median)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  library\t%s\tmin-max\twarmcache/it\tnote\n", s.unit)
	for _, c := range cells {
		fmt.Fprintf(t, "  %s\t"+s.format+"\t"+s.format+"-"+s.format+"\t%s\t%s\n",
			c.Library, c.Median, c.Min, c.Max, ratioText(c.Ratio), c.Note)
	}
	t.Flush()
}

func ratioText(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", ratio)
}

// printRatios prints a line for each trace and capacity.
func (r *results) printRatios(w io.Writer) {
	var measures, libraries []string
	for _, c := range r.Cells {
		if !strings.HasPrefix(c.Measure, "ratio/") {
			continue
		}
		if !slices.Contains(measures, c.Measure) {
			measures = append(measures, c.Measure)
		}
		if !slices.Contains(libraries, c.Library) {
			libraries = append(libraries, c.Library)
		}
	}
	if len(measures) == 0 {
		return
	}
	fmt.Fprintf(w, "\nHit ratio, %%\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  trace, capacity\t%s\t%s less exact LRU\n", strings.Join(libraries, "\t"), subject)
	for _, measure := range measures {
		fmt.Fprintf(t, "  %s", strings.ReplaceAll(strings.TrimPrefix(measure, "ratio/"), "/", ", "))
		for _, library := range libraries {
			fmt.Fprintf(t, "\t%.2f", r.find(measure, library).Median)
		}
		fmt.Fprintf(t, "\t%s\n", r.lazinessOf(measure))
	}
	t.Flush()
}

// lazinessOf is what warmcache loses by not moving an entry on every hit.
func (r *results) lazinessOf(measure string) string {
	lazy, exact := r.find(measure, subject), r.find(measure, exactLRU().name)
	if lazy == nil || exact == nil {
		return "-"
	}
	return fmt.Sprintf("%+.2f", lazy.Median-exact.Median)
}

func (r *results) printTargets(w io.Writer) {
	if len(r.Targets) == 0 {
		return
	}
	fmt.Fprintf(w, "\nTargets\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, x := range r.Targets {
		verdict := "MISSED"
		if x.Met {
			verdict = "met"
		}
		fmt.Fprintf(t, "  %s\tat most %.4g\tis %.3g\t%s\n", x.What, x.Limit, x.Got, verdict)
	}
	t.Flush()
}
