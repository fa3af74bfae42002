package compare

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// WriteTable writes all results as tables.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	c := r.Conditions
	fmt.Fprintf(t, "%s\n", c)
	for _, path := range slices.Sorted(maps.Keys(c.Libraries)) {
		fmt.Fprintf(t, "  %s %s\n", path, c.Libraries[path])
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(t, "\nSet-up")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(t, "  %s\t%s\n", n.Name, n.Text)
	}
	for _, table := range r.Tables() {
		if table.Matrix != "" {
			writeMatrix(t, table)
		} else {
			writeMeasure(t, table)
		}
	}
	if len(r.Targets) > 0 {
		fmt.Fprintln(t, "\nTargets")
	}
	for _, x := range r.Targets {
		fmt.Fprintf(t, "  %s\tat most %.4g\tis %s\t%s\n", x.What, x.AtMost, x.Text(), x.Verdict())
	}
	return t.Flush()
}

// Table is one measure with its cells as rows, or a matrix of measures.
type Table struct {
	Measure
	Cells   []*Cell  // of the measure, grouped by base, the smallest median first
	Columns []string // of a matrix
	Rows    []Row
}

// Row is a measure in a matrix. It has a cell for each column, or nil.
type Row struct {
	Measure
	Cells []*Cell
}

// Tables returns the measures in order, and merges those with the same matrix.
func (r *Report) Tables() (tables []*Table) {
	for _, m := range r.Measures {
		if m.Matrix == "" {
			cells := r.Of(m.Name)
			bases := map[string]int{}
			for i, c := range slices.Backward(cells) {
				bases[c.Base] = i
			}
			slices.SortStableFunc(cells, func(a, b *Cell) int {
				return cmp.Or(cmp.Compare(bases[a.Base], bases[b.Base]), cmp.Compare(a.Median, b.Median))
			})
			tables = append(tables, &Table{Measure: m, Cells: cells})
			continue
		}
		at := slices.IndexFunc(tables, func(t *Table) bool { return t.Matrix == m.Matrix })
		if at < 0 {
			at = len(tables)
			tables = append(tables, &Table{Measure: m})
		}
		tables[at].add(m, r.Of(m.Name))
	}
	return tables
}

func (t *Table) add(m Measure, cells []*Cell) {
	for _, c := range cells {
		if !slices.Contains(t.Columns, c.Name) {
			t.Columns = append(t.Columns, c.Name)
		}
	}
	row := Row{Measure: m, Cells: make([]*Cell, len(t.Columns))}
	for _, c := range cells {
		row.Cells[slices.Index(t.Columns, c.Name)] = c
	}
	t.Rows = append(t.Rows, row)
}

// Text returns the cell's outcome, or its median in the measure's format.
func (m Measure) Text(c *Cell) string {
	switch {
	case c == nil:
		return ""
	case c.Outcome != "":
		return c.Outcome
	}
	return m.Figure(c.Median)
}

// Figure formats a number in the measure's format.
func (m Measure) Figure(v float64) string { return fmt.Sprintf(cmp.Or(m.Format, "%.4g"), v) }

func writeMatrix(w io.Writer, t *Table) {
	fmt.Fprintf(w, "\n%s\n ", t.Matrix)
	for _, name := range t.Columns {
		fmt.Fprintf(w, "\t%s", name)
	}
	for _, row := range t.Rows {
		fmt.Fprintf(w, "\n  %s", row.Title)
		for _, c := range row.Cells {
			fmt.Fprintf(w, "\t%s", row.Text(c))
		}
	}
	fmt.Fprintln(w)
}

func writeMeasure(w io.Writer, t *Table) {
	fmt.Fprintf(w, "\n%s\n  contender\t%s\tmin-max\tbase/it\tmin-max\tnote\n", t.Title, t.Unit)
	for _, c := range t.Cells {
		ratios := "-\t-"
		if c.Ratio > 0 {
			ratios = fmt.Sprintf("%.2f\t%.2f-%.2f", c.Ratio, c.RatioMin, c.RatioMax)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s-%s\t%s\t%s\n", c.Name, t.Figure(c.Median), t.Figure(c.Min), t.Figure(c.Max), ratios, c.Note)
	}
}
