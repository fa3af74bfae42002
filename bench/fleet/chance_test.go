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
	r, s := rand.New(rand.NewPCG(1, 1)), l.sampler()
	draws, sum := make([]int64, 100_001), 0.0
	for i := range draws {
		draws[i] = s.draw(r)
		sum += float64(draws[i])
	}
	slices.Sort(draws)
	for name, tt := range map[string]struct{ got, want float64 }{
		"median": {float64(draws[50_000]), float64(l.Median)},
		"p99":    {float64(draws[99_000]), float64(l.P99)},
		"mean":   {sum / float64(len(draws)), float64(l.mean())},
	} {
		if math.Abs(tt.got/tt.want-1) > 0.03 {
			t.Errorf("%s = %v, want %v", name, time.Duration(tt.got), time.Duration(tt.want))
		}
	}
	if (Latency{}).sampler().draw(r) != 0 || (Latency{5, 5}).sampler().draw(r) != 5 {
		t.Error("latencies without spread are not exact")
	}
}

func TestArrivals(t *testing.T) {
	for _, a := range []Arrivals{Constant, Poisson, Bursty, Diurnal} {
		c := Default()
		c.Arrivals, c.Rate, c.Burst = a, 1, 10
		r := newRequests(&c)
		const days = 2
		var n, last int64
		quarters, together := [4]float64{}, 0
		for at, key := r.next(); at < days*24*int64(time.Hour); at, key = r.next() {
			if at < last || key < 0 || key >= c.Products*c.Tenants {
				t.Fatalf("%s: key %d at %d after %d", a, key, at, last)
			}
			if at == last {
				together++
			}
			quarters[at/(6*int64(time.Hour))%4]++
			last, n = at, n+1
		}
		if want := c.Rate * days * 24 * 3600; math.Abs(float64(n)/want-1) > 0.03 {
			t.Errorf("%s: %d requests, want %v", a, n, want)
		}
		// In the first quarter of a day the rate is above its mean by 2/pi of the swing.
		high := quarters[0] / (float64(n) / 4)
		if want := 1 + c.Diurnal*2/math.Pi; (math.Abs(high-want) < 0.05) != (a == Diurnal) {
			t.Errorf("%s: the first quarter of a day has %v times the mean", a, high)
		}
		if part := float64(together) / float64(n); (math.Abs(part-0.9) < 0.02) != (a == Bursty) {
			t.Errorf("%s: %v of the requests came with the one before", a, part)
		}
	}
}

func TestEventsInOrder(t *testing.T) {
	var q events
	r := rand.New(rand.NewPCG(1, 1))
	for key := range 1000 {
		q.push(event{at: r.Int64N(100), key: key})
	}
	if _, ok := q.pop(-1); ok {
		t.Error("an event came before its time")
	}
	last := event{at: -1}
	for n := range 1000 {
		e, ok := q.pop(100)
		if !ok || e.at < last.at || e.at == last.at && e.key < last.key {
			t.Fatalf("event %d: %+v after %+v", n, e, last)
		}
		last = e
	}
	if _, ok := q.pop(100); ok {
		t.Error("an event came twice")
	}
}

func TestTimes(t *testing.T) {
	var ts times
	for d := int64(0); d < 1<<40; d += d/7 + 1 {
		if end := binEnd(timeBin(d)); end <= d || d >= 32 && float64(end) > 1.04*float64(d) {
			t.Fatalf("%d is in a bin that ends at %d", d, end)
		}
	}
	for i := range int64(1000) {
		ts.add(i * int64(time.Millisecond))
	}
	for p, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := ts.percentile(p); math.Abs(float64(got)/float64(want)-1) > 0.04 {
			t.Errorf("p%v = %v, want %v", p*100, got, want)
		}
	}
}

func TestTimelineSpread(t *testing.T) {
	var l timeline
	l.spread(int64(900*time.Millisecond), int64(2200*time.Millisecond))
	if want := (timeline{1000, 10000, 2000}); !slices.Equal(l, want) {
		t.Errorf("%v, want %v", l, want)
	}
	if n, at := l.peak(); n != 10000 || at != 1 {
		t.Errorf("peak %d at %d", n, at)
	}
	if got := (timeline{2, -1, 3}).sums(); !slices.Equal(got, timeline{2, 1, 4}) {
		t.Errorf("sums = %v", got)
	}
}
