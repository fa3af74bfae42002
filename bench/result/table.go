package result

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// WriteTable writes the rows for people, and what their states mean. Where no row
// knows of an origin, there are no columns for it.
func WriteTable(w io.Writer, rows []Row) error {
	origins := slices.ContainsFunc(rows, func(r Row) bool { return r.OriginCalls > 0 })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "example\thost\tstate\tn\terrors\tp50 ms\tp90 ms\tp99 ms\t")
	if origins {
		fmt.Fprint(t, "origin calls\torigin bytes\t")
	}
	fmt.Fprintln(t)
	for i, r := range rows {
		if i > 0 && (r.Example != rows[i-1].Example || r.Host != rows[i-1].Host) {
			fmt.Fprintln(t, "\t\t\t\t\t\t\t\t")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t", r.Example, r.Host, r.State, r.N, r.Errors, r.times())
		if origins {
			fmt.Fprintf(t, "%.2f\t%.0f\t", r.OriginCalls, r.OriginBytes)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return writeMeanings(w, rows)
}

// times are the cells of the percentiles; where every invocation failed there are none.
func (r Row) times() string {
	if r.N == 0 {
		return "-\t-\t-"
	}
	return fmt.Sprintf("%.2f\t%.2f\t%.2f", r.P50, r.P90, r.P99)
}

func writeMeanings(w io.Writer, rows []Row) error {
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	for _, s := range States {
		if !slices.ContainsFunc(rows, func(r Row) bool { return r.State == s }) {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-10s  %s\n", s, s.Meaning()); err != nil {
			return err
		}
	}
	return nil
}
