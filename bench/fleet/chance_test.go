package fleet

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestZipf(t *testing.T) {
	const draws = 200_000
	for _, s := range []float64{0, 0.99, 2} {
		a, r, counts := newZipf(50, s), rand.New(rand.NewPCG(1, 1)), make([]float64, 50)
		for range draws {
			counts[a.draw(r)]++
		}
		sum := 0.0
		for i := range counts {
			sum += math.Pow(float64(i+1), -s)
		}
		for i, n := range counts {
			want := draws * math.Pow(float64(i+1), -s) / sum
			if math.Abs(n-want) > 5*math.Sqrt(want)+1 {
				t.Errorf("exponent %v: %d came up %v times, want %.0f", s, i, n, want)
			}
		}
	}
}

func TestLatency(t *testing.T) {
	l := Latency{3 * time.Millisecond, 20 * time.Millisecond}
	r := rand.New(rand.NewPCG(1, 1))
	draws := make([]int64, 100_001)
	for i := range draws {
		draws[i] = l.draw(r)
	}
	slices.Sort(draws)
	for name, tt := range map[string]struct{ got, want float64 }{
		"median": {float64(draws[50_000]), float64(l.Median)},
		"p99":    {float64(draws[99_000]), float64(l.P99)},
	} {
		if math.Abs(tt.got/tt.want-1) > 0.03 {
			t.Errorf("%s = %v, want %v", name, time.Duration(tt.got), time.Duration(tt.want))
		}
	}
	if (Latency{}).draw(r) != 0 || (Latency{5, 5}).draw(r) != 5 {
		t.Error("latencies without spread are not exact")
	}
}

func TestArrivals(t *testing.T) {
	for _, a := range []string{Constant, Poisson} {
		c := Default()
		c.Arrivals, c.Rate = a, 1
		r := newRequests(&c)
		const hours = 48
		var n, last int64
		even := true
		for at, key := r.next(); at < hours*int64(time.Hour); at, key = r.next() {
			if at < last || key < 0 || key >= c.Products*c.Tenants {
				t.Fatalf("%s: key %d at %d after %d", a, key, at, last)
			}
			even = even && at == n*int64(time.Second)
			last, n = at, n+1
		}
		if want := c.Rate * hours * 3600; math.Abs(float64(n)/want-1) > 0.03 {
			t.Errorf("%s: %d requests, want %v", a, n, want)
		}
		if even != (a == Constant) {
			t.Errorf("%s: evenly spaced: %v", a, even)
		}
	}
}

func TestEventsInOrder(t *testing.T) {
	var q events
	var got []int64
	r := rand.New(rand.NewPCG(1, 1))
	for key := range 1000 {
		at := r.Int64N(100)
		q.push(at, func() { got = append(got, at*1000+int64(key)) })
	}
	q.run(-1)
	if len(got) > 0 {
		t.Error("an event came before its time")
	}
	q.run(49)
	if n := len(got); n == 0 || got[n-1] >= 50*1000 {
		t.Errorf("%d events until 49: %v", n, got)
	}
	q.run(100)
	q.run(100)
	if len(got) != 1000 || !slices.IsSorted(got) {
		t.Errorf("%d events, or not in order: %v", len(got), got)
	}
}

func TestHistogram(t *testing.T) {
	h := newHistogram()
	for i := range int64(1000) {
		h.add(i * int64(time.Millisecond))
	}
	h.add(int64(longestRun))
	for p, want := range map[float64]time.Duration{50: 500 * time.Millisecond, 99: 990 * time.Millisecond, 0: 0} {
		if got := h.percentile(p); got < want || got > want+want/500 {
			t.Errorf("p%v = %v, want %v", p, got, want)
		}
	}
}

func TestTimelineSpread(t *testing.T) {
	var l timeline
	l.spread(int64(900*time.Millisecond), int64(2200*time.Millisecond))
	if want := (timeline{1000, 10000, 2000}); !slices.Equal(l, want) {
		t.Errorf("%v, want %v", l, want)
	}
	if n := l.peak(); n != 10000 {
		t.Errorf("peak %d", n)
	}
	if got := (timeline{2, -1, 3}).sums(); !slices.Equal(got, timeline{2, 1, 4}) {
		t.Errorf("sums = %v", got)
	}
}
