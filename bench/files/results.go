package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/warmcache/warmcache/internal/conditions"
	"golang.org/x/sys/unix"
)

// results is all that a run found.
type results struct {
	Conditions circumstances `json:"conditions"`
	Measures   []measure     `json:"measures"`
	Cells      []*cell       `json:"cells"`
}

// circumstances are what the figures depend on besides the contenders.
type circumstances struct {
	conditions.Conditions
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

// cell is what was measured of one contender.
type cell struct {
	Measure   string    `json:"measure"`
	Contender string    `json:"contender"`
	Unit      string    `json:"unit"`
	Samples   []float64 `json:"samples"`
	Median    float64   `json:"median"`
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Ratio     float64   `json:"warmcache_over_this"` // median of the rounds' ratios
}

func newConditions(s settings, args []string) circumstances {
	set := fmt.Sprintf("%d interleaved rounds, files on %s", s.rounds, fileSystem(os.TempDir()))
	if s.quick {
		set += ", quick and so no more than a hint"
	}
	return circumstances{
		Conditions: conditions.Here("go run ./bench/files", args, set, "/s3", "versitygw"),
		LoadBefore: conditions.LoadAverage(),
	}
}

// fileSystem names the usual ones.
func fileSystem(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "an unknown file system"
	}
	switch int64(st.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.XFS_SUPER_MAGIC:
		return "XFS"
	case unix.BTRFS_SUPER_MAGIC:
		return "Btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	}
	return fmt.Sprintf("a file system of type %#x", st.Type)
}

func (r *results) find(measure, contender string) *cell {
	for _, c := range r.Cells {
		if c.Measure == measure && c.Contender == contender {
			return c
		}
	}
	return nil
}

func (r *results) add(measure, contender string, sample float64) {
	c := r.find(measure, contender)
	if c == nil {
		c = &cell{Measure: measure, Contender: contender}
		r.Cells = append(r.Cells, c)
	}
	c.Samples = append(c.Samples, sample)
}

// finish computes what follows from the samples of a measure.
func (r *results) finish(m measure, contenders []contender) {
	r.Measures = append(r.Measures, m)
	of := r.find(m.Name, contenders[0].name)
	for _, x := range contenders {
		c := r.find(m.Name, x.name)
		c.Unit = m.Unit
		c.Median, c.Min, c.Max = median(c.Samples), slices.Min(c.Samples), slices.Max(c.Samples)
		ratios := make([]float64, len(c.Samples))
		for i := range ratios {
			ratios[i] = of.Samples[i] / c.Samples[i]
		}
		c.Ratio = median(ratios)
	}
}

func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// print writes a table for each measure.
func (r *results) print(w io.Writer) error {
	c := r.Conditions
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %s, %s, %d CPUs; load average before %s, after %s; %s\n", c.Go, c.Platform, c.CPU, c.CPUs, c.LoadBefore, c.LoadAfter, c.Set)
	for _, m := range r.Measures {
		fmt.Fprintf(t, "\n%s\n  contender\t%s\tmin-max\twarmcache/it\t\n", m.Title, m.Unit)
		for _, c := range r.Cells {
			if c.Measure == m.Name {
				fmt.Fprintf(t, "  %s\t%.4g\t%.4g-%.4g\t%.2f\t%s\n", c.Contender, c.Median, c.Min, c.Max, c.Ratio, m.verdict(c))
			}
		}
	}
	return t.Flush()
}

// verdict says whether a target is met.
func (m measure) verdict(c *cell) string {
	switch {
	case m.limit == 0 || !slices.Contains(m.over, c.Contender):
		return ""
	case c.Ratio <= m.limit:
		return fmt.Sprintf("at most %.2f: met", m.limit)
	}
	return fmt.Sprintf("at most %.2f: missed", m.limit)
}
