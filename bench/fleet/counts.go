package fleet

import (
	"math"
	"time"
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

// slice is what the time of loads is counted in.
const slice = 100 * time.Microsecond

// spread adds the slices from one time to another to the seconds that they belong to.
func (t *timeline) spread(from, to int64) {
	for from < to {
		end := min(to, (from/int64(time.Second)+1)*int64(time.Second))
		t.add(from, int32((end-from)/int64(slice)))
		from = end
	}
}

// peak is the greatest count, and the second that it is of.
func (t timeline) peak() (n int32, second int) {
	for i, v := range t {
		if v > n {
			n, second = v, i
		}
	}
	return n, second
}

// sums turns comings and goings into how many there are at the end of each second.
func (t timeline) sums() timeline {
	sums, n := make(timeline, len(t)), int32(0)
	for i, v := range t {
		n += v
		sums[i] = n
	}
	return sums
}

// ages counts how old values were when they were handed out, in thousandths of TTL.
type ages struct {
	ttl    int64
	counts [ageBins]int64
	n      int64
	max    int64
	over   int64 // not below TTL, and not just loaded
}

const ageBins = 1000

// add counts an age. A value that the caller's own Load brought is as young as it
// gets, however long that took.
func (a *ages) add(age int64, own bool) {
	a.n++
	a.counts[min(age*ageBins/a.ttl, ageBins-1)]++
	if own {
		return
	}
	a.max = max(a.max, age)
	if age >= a.ttl {
		a.over++
	}
}

// percentile is the age below which that part of the answers was.
func (a *ages) percentile(p float64) time.Duration {
	rank, sum := int64(math.Ceil(p*float64(a.n))), int64(0)
	for i, n := range a.counts {
		if sum += n; sum >= rank {
			return time.Duration(int64(i+1) * a.ttl / ageBins)
		}
	}
	return 0
}

// cumulative returns, for each hundredth of TTL, the part of the answers that was
// younger.
func (a *ages) cumulative() []float64 {
	parts, sum := make([]float64, 0, 101), int64(0)
	for i, n := range a.counts {
		if i%(ageBins/100) == 0 {
			parts = append(parts, part(sum, a.n))
		}
		sum += n
	}
	return append(parts, 1)
}

func part(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// times counts how long something took, with three per cent of error.
type times struct {
	counts [64 * 32]int64
	n      int64
}

func (t *times) add(d int64) {
	t.n++
	t.counts[timeBin(d)]++
}

// timeBin numbers durations by the place of their first bit and the next five.
func timeBin(d int64) int {
	if d < 32 {
		return int(max(d, 0))
	}
	exponent := math.Ilogb(float64(d))
	return (exponent-4)*32 + int(d>>(exponent-5)) - 32
}

// binEnd is the shortest duration that is above the bin.
func binEnd(bin int) int64 {
	if bin < 32 {
		return int64(bin) + 1
	}
	return int64(bin%32+33) << (bin/32 - 1)
}

func (t *times) percentile(p float64) time.Duration {
	rank, sum := int64(math.Ceil(p*float64(t.n))), int64(0)
	for bin, n := range t.counts {
		if sum += n; sum >= rank && n > 0 {
			if bin == 0 {
				return 0
			}
			return time.Duration(binEnd(bin))
		}
	}
	return 0
}
