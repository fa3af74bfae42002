package result

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// column is a column of the table.
type column struct {
	title string
	text  func(Row) string
}

// columns returns the columns for which a row has a figure.
func (rows Rows) columns() []column {
	figure := func(decimals int, of func(Row) *float64) func(Row) string {
		return func(r Row) string { return text(of(r), decimals) }
	}
	all := []column{
		{"example", func(r Row) string { return r.Example }},
		{"host", func(r Row) string { return r.Host }},
		{"state", func(r Row) string { return string(r.State) }},
		{"n", func(r Row) string { return fmt.Sprint(r.N) }},
		{"errors", func(r Row) string { return fmt.Sprint(r.Errors) }},
		{"p50 ms", figure(2, func(r Row) *float64 { return r.P50 })},
		{"p90 ms", figure(2, func(r Row) *float64 { return r.P90 })},
		{"p99 ms", figure(2, func(r Row) *float64 { return r.P99 })},
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.OriginCalls != nil }) {
		all = append(all, column{"origin calls", figure(2, func(r Row) *float64 { return r.OriginCalls })},
			column{"origin bytes", figure(0, func(r Row) *float64 { return r.OriginBytes })})
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.FirstByte != nil }) {
		all = append(all, column{"first byte p50 ms", figure(2, func(r Row) *float64 { return r.FirstByte })})
	}
	if slices.ContainsFunc(rows, func(r Row) bool { return r.Busy > 0 }) {
		all = append(all, column{"busy", func(r Row) string { return fmt.Sprint(r.Busy) }})
	}
	return all
}

// WriteTable writes the conditions and the rows, with the meanings of their states.
func (f File) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n\n", f.Conditions)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	rows := f.Rows
	columns := rows.columns()
	for _, c := range columns {
		fmt.Fprint(t, c.title, "\t")
	}
	for _, group := range rows.Groups() {
		fmt.Fprintln(t, "\n"+strings.Repeat("\t", len(columns))) // an empty line would end the columns
		for i, r := range group {
			if i > 0 {
				fmt.Fprintln(t)
			}
			for _, c := range columns {
				fmt.Fprint(t, c.text(r), "\t")
			}
		}
		if p50, p90 := group.Share(); p50 != nil {
			fmt.Fprintf(t, "\n\t\tlibrary's share of cold\t\t\t%s\t%s%s", text(p50, 2), text(p90, 2), strings.Repeat("\t", len(columns)-6))
		}
	}
	fmt.Fprintln(t)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, s := range rows.States() {
		fmt.Fprintf(w, "%-13s  %s\n", s, s.Meaning())
	}
	_, err := fmt.Fprintln(w, "The table shows the p90 of 10 samples and more, and the p99 of 100 and more.")
	return err
}

// text is a figure with so many decimals, or "-" if it is unknown.
func text(v *float64, decimals int) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.*f", decimals, *v)
}
