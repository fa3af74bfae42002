package fleet

import (
	"context"
	"math"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/warmcache/warmcache/internal/conditions"
)

// Report is the result of the command fleet.
type Report struct {
	Kind       string                `json:"kind"`       // "fleet"
	Conditions conditions.Conditions `json:"conditions"` // the command's; Simulate leaves them out
	Config     Config                `json:"config"`
	Results    []*Result             `json:"results"`  // of each variant, without Timelines
	Rates      []Point               `json:"rates"`    // over arrival rate, for several TTLs
	Stampede   Stampede              `json:"stampede"` // after a deployment
}

// Point is the hit ratio of a single function at an arrival rate.
type Point struct {
	Rate     float64       `json:"rate"` // requests per second
	TTL      time.Duration `json:"ttl_ns"`
	HitRatio float64       `json:"hit_ratio"`
}

// Stampede is a fleet of fixed size that begins with empty caches. Later all its
// containers are replaced at once: their caches are empty again, and the values that
// they load together expire together.
type Stampede struct {
	Config  Config    `json:"config"`
	Results []*Result `json:"results"`
}

// Simulate runs the variants with c, and the two experiments that vary c. It uses all
// processors.
func Simulate(ctx context.Context, c Config, variants []Variant) (*Report, error) {
	r := &Report{
		Kind:     "fleet",
		Config:   c,
		Results:  make([]*Result, len(variants)),
		Stampede: Stampede{Config: stampede(c), Results: make([]*Result, len(variants))},
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, v := range variants {
		g.Go(func() (err error) {
			if r.Results[i], err = Run(ctx, c, v); err == nil {
				r.Results[i].Timeline = nil // long, and that of the stampede tells more
			}
			return err
		})
		g.Go(func() (err error) {
			r.Stampede.Results[i], err = Run(ctx, r.Stampede.Config, v)
			return err
		})
	}
	r.Rates = make([]Point, len(sweepRates)*len(sweepTTLs))
	for i := range r.Rates {
		g.Go(func() (err error) {
			r.Rates[i], err = point(ctx, c, sweepRates[i%len(sweepRates)], sweepTTLs[i/len(sweepRates)])
			return err
		})
	}
	return r, g.Wait()
}

// stampede returns c with a deployment under load: a fleet of fixed size with ten
// requests a second for each container, and a few keys that all of them need, such as
// settings. It is long enough for the second wave, one TTL after the first.
func stampede(c Config) Config {
	c.Arrivals, c.Routing = Poisson, Spread
	c.Containers = min(c.Containers, 1000)
	c.Rate = 10 * float64(c.Containers)
	c.TTL = min(c.TTL, time.Minute)
	c.DeployAt = c.TTL / 2
	c.For = 5 * c.TTL / 2
	c.Products, c.Tenants = min(c.Products, 5), min(c.Tenants, 2)
	c.Handler = Latency{5 * time.Millisecond, 20 * time.Millisecond}
	return c
}

// From one request an hour, which half of all applications on Azure do not reach, to a
// thousand a second (Serverless in the Wild, ATC'20).
var (
	sweepRates = []float64{1. / 3600, 1. / 600, 1. / 60, 1. / 20, 0.2, 1, 5, 20, 100, 1000}
	sweepTTLs  = []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute, time.Hour}
)

// sweepRequests is the approximate number of requests of a point. Tests set fewer.
var sweepRequests = 20_000

// point simulates c at a rate, with few keys, as a function with one request an hour has.
func point(ctx context.Context, c Config, rate float64, ttl time.Duration) (Point, error) {
	c.Arrivals, c.Rate, c.TTL = Poisson, rate, ttl
	c.Products, c.Tenants = 10, 1
	c.Containers, c.Routing, c.DeployAt = 1000, MostRecent, 0
	n := float64(sweepRequests)
	// Long enough that the first misses do not count much, if that can be had.
	seconds := min(max(n/rate, 5*ttl.Seconds()), 50*n/rate)
	c.For = time.Duration(math.Min(seconds, longestRun.Seconds()) * float64(time.Second))
	r, err := Run(ctx, c, Variant{Name: "plain"})
	if err != nil {
		return Point{}, err
	}
	return Point{Rate: rate, TTL: ttl, HitRatio: r.HitRatio}, nil
}
