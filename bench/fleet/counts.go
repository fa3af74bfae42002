package fleet

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// timeline counts by the second.
type timeline []int32

func (t *timeline) add(at int64, n int32) {
	second := int(at / int64(time.Second))
	for len(*t) <= second {
		*t = append(*t, 0)
	}
	(*t)[second] += n
}

// slice is the unit of the time of loads.
const slice = 100 * time.Microsecond

// spread adds the slices between two times to the seconds that they belong to.
func (t *timeline) spread(from, to int64) {
	for from < to {
		end := min(to, (from/int64(time.Second)+1)*int64(time.Second))
		t.add(from, int32((end-from)/int64(slice)))
		from = end
	}
}

// peak returns the greatest count.
func (t timeline) peak() int32 { return slices.Max(append(timeline{0}, t...)) }

// sums turns changes into the total at the end of each second.
func (t timeline) sums() timeline {
	sums, n := make(timeline, len(t)), int32(0)
	for i, v := range t {
		n += v
		sums[i] = n
	}
	return sums
}

// histogram has durations, to three digits.
type histogram struct{ *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(1, longestRun.Microseconds(), 3)}
}

func (h histogram) add(d int64) {
	if err := h.RecordValue(d / int64(time.Microsecond)); err != nil {
		panic(err) // no duration of a simulation is longer than the longest run
	}
}

func (h histogram) percentile(p float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(p)) * time.Microsecond
}

func (h histogram) mean() time.Duration { return time.Duration(h.Mean() * float64(time.Microsecond)) }

func part(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
