package report

import "slices"

// Matrix has a row for each case and a column for each library.
type Matrix struct {
	Libraries []string
	Cases     []Case
}

// Case is a row: the cells are in the order of the libraries.
type Case struct {
	Name  string
	Cells []FaultCell
}

// Bad reports what one would not wish: wrong bytes, old ones, an error where the
// origin is well, or no answer at all.
func (c FaultCell) Bad() bool {
	return slices.Contains([]string{"WRONG", "stale", "error", "hangs"}, c.Outcome)
}

func (f *Faults) matrix() *Matrix {
	m := new(Matrix)
	rows := map[string]int{}
	for _, c := range f.Cells {
		if !slices.Contains(m.Libraries, c.Library) {
			m.Libraries = append(m.Libraries, c.Library)
		}
		if _, seen := rows[c.Case]; !seen {
			rows[c.Case] = len(m.Cases)
			m.Cases = append(m.Cases, Case{Name: c.Case})
		}
	}
	for i := range m.Cases {
		m.Cases[i].Cells = make([]FaultCell, len(m.Libraries))
	}
	for _, c := range f.Cells {
		m.Cases[rows[c.Case]].Cells[slices.Index(m.Libraries, c.Library)] = c
	}
	return m
}
