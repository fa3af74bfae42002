package result

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// WriteTable writes the rows for people, with the meanings of their states. Without
// any known origin there are no columns for it.
func WriteTable(w io.Writer, rows Rows) error {
	origins := slices.ContainsFunc(rows, func(r Row) bool { return r.OriginCalls != nil })
	streams := slices.ContainsFunc(rows, func(r Row) bool { return r.FirstByte != nil })
	busy := slices.ContainsFunc(rows, func(r Row) bool { return r.Busy > 0 })
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "example\thost\tstate\tn\terrors\tp50 ms\tp90 ms\tp99 ms\t")
	if origins {
		fmt.Fprint(t, "origin calls\torigin bytes\t")
	}
	if streams {
		fmt.Fprint(t, "first byte p50 ms\t")
	}
	if busy {
		fmt.Fprint(t, "busy\t")
	}
	for _, group := range rows.Groups() {
		fmt.Fprintln(t)
		for _, r := range group {
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t", r.Example, r.Host, r.State, r.N, r.Errors, text(r.P50, 2), text(r.P90, 2), text(r.P99, 2))
			if origins {
				fmt.Fprintf(t, "%s\t%s\t", text(r.OriginCalls, 2), text(r.OriginBytes, 0))
			}
			if streams {
				fmt.Fprintf(t, "%s\t", text(r.FirstByte, 2))
			}
			if busy {
				fmt.Fprintf(t, "%d\t", r.Busy)
			}
			fmt.Fprintln(t)
		}
		if p50, p90 := group.Share(); p50 != nil {
			fmt.Fprintf(t, "%s\t%s\tlibrary's share of cold\t\t\t%s\t%s\t\t", group[0].Example, group[0].Host, text(p50, 2), text(p90, 2))
			if origins {
				fmt.Fprint(t, "\t\t")
			}
			fmt.Fprintln(t)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, s := range rows.States() {
		fmt.Fprintf(w, "%-13s  %s\n", s, s.Meaning())
	}
	_, err := fmt.Fprintln(w, "p90 needs 10 samples, p99 needs 100: of fewer they are not shown.")
	return err
}

// text is a figure with so many decimals, or "-" if it is unknown.
func text(v *float64, decimals int) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f", decimals, *v)
}
