package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"
)

func TestDeterministic(t *testing.T) {
	c := busy()
	c.For = 3 * time.Minute
	for _, v := range Variants() {
		first, again := run(t, c, v.Name), run(t, c, v.Name)
		if !reflect.DeepEqual(first, again) {
			t.Errorf("%s: the same seed gave\n%+v\n%+v", v.Name, first, again)
		}
		other := c
		other.Seed++
		if reflect.DeepEqual(first, run(t, other, v.Name)) {
			t.Errorf("%s: another seed gave the same", v.Name)
		}
	}
}

// One container with one key and a request each second loads it once per TTL.
func TestConstantArrivals(t *testing.T) {
	for _, tt := range []struct {
		ttl   time.Duration
		every int64 // requests per load
	}{
		{10 * time.Second, 10}, // a request arrives when the value is exactly TTL old
		{9500 * time.Millisecond, 10},
		{1500 * time.Millisecond, 2},
		{time.Second, 1},
		{time.Millisecond, 1},
	} {
		c := small()
		c.TTL = tt.ttl
		r := run(t, c, "plain")
		if want := 3600 / tt.every; r.Requests != 3600 || r.Loads != want || r.Misses != want || r.Hits != 3600-want {
			t.Errorf("TTL %v: %d requests, %d hits, %d loads; want %d loads", tt.ttl, r.Requests, r.Hits, r.Loads, want)
		}
		if want := 1 - 1/float64(tt.every); math.Abs(r.HitRatio-want) > 1e-9 {
			t.Errorf("TTL %v: hit ratio %v, want %v", tt.ttl, r.HitRatio, want)
		}
	}
}

// With arrivals at random, a request within TTL of a load hits: on average rate*TTL
// requests, after the one that loads.
func TestPoissonArrivals(t *testing.T) {
	c := small()
	c.Arrivals, c.For = Poisson, 50*time.Hour
	c.Handler, c.Database = Latency{}, Latency{} // never busy
	for _, ttl := range []time.Duration{time.Second, 10 * time.Second} {
		c.TTL = ttl
		x := c.Rate * ttl.Seconds()
		r := run(t, c, "plain")
		if want := x / (1 + x); math.Abs(r.HitRatio-want) > 0.005 {
			t.Errorf("TTL %v: hit ratio %v, want %v", ttl, r.HitRatio, want)
		}
		if want := c.Rate * c.For.Seconds(); math.Abs(float64(r.Requests)/want-1) > 0.01 {
			t.Errorf("%d requests, want %v", r.Requests, want)
		}
	}
}

// In every scenario, no returned value is TTL old, no request is lost, and the
// counts of the caches match those of the simulation (which Run checks).
func TestInvariants(t *testing.T) {
	for _, arrivals := range []string{Constant, Poisson} {
		for _, routing := range []string{MostRecent, Spread} {
			for _, v := range Variants() {
				c := busy()
				c.Arrivals, c.Routing = arrivals, routing
				c.For = 2 * time.Minute
				name := fmt.Sprintf("%s, %s, %s", arrivals, routing, v.Name)
				checkInvariants(t, name, c, run(t, c, v.Name))
			}
		}
	}
}

func checkInvariants(t *testing.T, name string, c Config, r *Result) {
	t.Helper()
	if r.OverTTL != 0 || r.AgeMax >= c.TTL {
		t.Errorf("%s: %d answers too old, the oldest %v of %v", name, r.OverTTL, r.AgeMax, c.TTL)
	}
	if r.AgeMax < c.TTL/2 {
		t.Errorf("%s: the oldest answer was %v: the test tries nothing", name, r.AgeMax)
	}
	if r.Hits+r.Misses != r.Requests || r.Loads+r.TierHits != r.Misses {
		t.Errorf("%s: %d requests, %d hits, %d misses, %d of the tier, %d loads", name, r.Requests, r.Hits, r.Misses, r.TierHits, r.Loads)
	}
	if r.PeakAlive > c.Containers || r.PeakBusy > r.PeakAlive || r.PeakBusy == 0 {
		t.Errorf("%s: %d alive and %d busy of at most %d", name, r.PeakAlive, r.PeakBusy, c.Containers)
	}
	var loads int64
	for _, n := range r.Timeline {
		loads += int64(n)
	}
	if loads != r.Loads || int64(r.PeakLoads) > loads {
		t.Errorf("%s: %d loads in the timeline, of %d", name, loads, r.Loads)
	}
	requests := newRequests(&c)
	arrived := int64(0)
	for at, _ := requests.next(); at < int64(c.For); at, _ = requests.next() {
		arrived++
	}
	if r.Requests+r.Throttled != arrived {
		t.Errorf("%s: %d handled and %d throttled, of %d", name, r.Requests, r.Throttled, arrived)
	}
}

func TestTTLJitterAndTierShift(t *testing.T) {
	c := busy()
	c.Routing = Spread
	plain, lease := run(t, c, "plain"), run(t, c, "lease")
	if lease.Loads >= plain.Loads/2 || lease.TierHits == 0 {
		t.Errorf("%d loads without a tier, %d with one", plain.Loads, lease.Loads)
	}
	if j := run(t, c, "jitter"); j.AgeMax >= plain.AgeMax || j.Loads <= plain.Loads {
		t.Errorf("jitter: oldest %v and %d loads; without %v and %d", j.AgeMax, j.Loads, plain.AgeMax, plain.Loads)
	}
}

// A thousand cold containers request one key at once: one of them loads it.
func TestLeaseAgainstStampede(t *testing.T) {
	c := small()
	c.Rate, c.For = 1e9, time.Microsecond
	c.Containers, c.Routing = 1000, Spread
	c.Handler = Latency{time.Hour, time.Hour} // each handles one
	for variant, want := range map[string]int64{"plain": 1000, "tier": 1000, "lease": 1} {
		r := run(t, c, variant)
		if r.Requests != 1000 || r.Loads != want {
			t.Errorf("%s: %d loads for %d requests, want %d", variant, r.Loads, r.Requests, want)
		}
	}
	// If a load outlasts its lease, the waiting callers load one after the other,
	// until they have waited long enough.
	c.Database, c.Lease, c.LeaseWait = Latency{time.Minute, time.Minute}, time.Second, 3500*time.Millisecond
	c.TTL, c.Containers = time.Hour, 3
	if r := run(t, c, "lease"); r.Loads != 3 || r.GetP99 < time.Minute+time.Second {
		t.Errorf("%d loads, at most %v", r.Loads, r.GetP99)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, busy(), Variant{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

// An option that package cache rejects is an error, not a panic.
func TestBadOptions(t *testing.T) {
	c := small()
	c.TTL = time.Second
	c.ClockSkew = time.Minute
	if _, err := Run(t.Context(), c, Variant{Name: "tier", Tier: true}); err == nil {
		t.Error("a skew beyond TTL was taken")
	}
}
