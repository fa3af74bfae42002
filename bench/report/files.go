package report

import "strings"

// bars are the measures of the file cache, in the order in which they were taken.
func (f *Files) bars() (all []Bars) {
	for _, m := range f.Measures {
		b := Bars{Title: m.Title, Unit: m.Unit}
		for _, c := range f.Cells {
			if c.Measure == m.Name {
				c.Library = c.Way
				b.Cells = append(b.Cells, c)
			}
		}
		if b.sort(); len(b.Cells) > 0 {
			all = append(all, b)
		}
	}
	return all
}

func (p *page) drawFiles(a *artist) {
	if p.Files == nil {
		return
	}
	p.FileBars = p.Files.bars()
	for i, b := range p.FileBars {
		name := "files-" + strings.ReplaceAll(b.Cells[0].Measure, "/", "-")
		p.FileBars[i].Figure = *a.draw(name, b.Title+": shorter is faster.", b.plot)
	}
}
