package fleet

import (
	"fmt"
	"math"
	"time"

	"github.com/warmcache/warmcache/bench/price"
	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/redistier"
)

// Config is a function, its users, and the world that it runs in. Start from
// Default: zero is rarely what is meant.
type Config struct {
	Seed uint64        `json:"seed"`
	For  time.Duration `json:"for_ns"` // virtual time

	// Requests.
	Arrivals Arrivals `json:"arrivals"`
	Rate     float64  `json:"rate"`    // requests per second, the mean over all containers
	Burst    float64  `json:"burst"`   // Bursty: mean number of requests that come at once
	Diurnal  float64  `json:"diurnal"` // Diurnal: how far the rate swings, as a part of it
	Products int      `json:"products"`
	Tenants  int      `json:"tenants"`
	Skew     float64  `json:"skew"` // exponent of Zipf's law for products and for tenants; 0: all alike

	// Containers.
	Containers int           `json:"containers"` // at most; requests beyond that are throttled
	Routing    Routing       `json:"routing"`
	Init       Latency       `json:"init"`        // until a new container handles its first request
	Handler    Latency       `json:"handler"`     // of a request, without its database call
	IdleHalf   time.Duration `json:"idle_half"`   // half of the idle containers are reclaimed each time this has passed
	IdleMax    time.Duration `json:"idle_max"`    // and all of them after this. Zero: idle containers are kept
	LifeMean   time.Duration `json:"life_mean"`   // mean age at which a container ends anyway. Zero: none does
	LifeMax    time.Duration `json:"life_max"`    // and its maximum
	DeployAt   time.Duration `json:"deploy_at"`   // all containers are replaced then. Zero: never
	ClockApart time.Duration `json:"clock_apart"` // how far the wall clocks of containers are apart

	// MonoStops makes the monotonic clock of a container stand still while it is
	// idle, as that of a paused virtual machine does.
	MonoStops bool `json:"mono_stops"`

	// Cache and origin.
	TTL      time.Duration `json:"ttl"`
	Entries  int           `json:"entries"` // MaxEntries of each cache
	Database Latency       `json:"database"`

	// What the variants add.
	Jitter    float64       `json:"jitter"`
	Tier      Latency       `json:"tier"`       // of one call
	Lease     time.Duration `json:"lease"`      // how long it keeps others from loading
	LeaseWait time.Duration `json:"lease_wait"` // how long others wait for it at most
	ClockSkew time.Duration `json:"clock_skew"` // what caches allow for

	Prices Prices `json:"prices"`
}

// Prices are those of a function, and of the server of the tier.
type Prices struct {
	price.Function
	TierHour float64 `json:"tier_hour"` // USD per hour of the tier's server
}

// Default returns a busy function on AWS Lambda, with published figures where there
// are any.
func Default() Config {
	return Config{
		Seed:     1,
		For:      2 * time.Hour,
		Arrivals: Poisson,
		Rate:     500,
		Burst:    100, // STeLLAR (IISWC'21) measures bursts of 100 and of 500
		Diurnal:  0.8,
		Products: 500,
		Tenants:  4,
		Skew:     0.99, // as YCSB's

		Containers: 1000,
		Routing:    MostRecent,
		// Go on x86_64, and the slowest of its images: maxday/lambda-perf, 2026-08-22.
		Init: Latency{49 * time.Millisecond, 132 * time.Millisecond},
		// Half of all functions take less than a second: Serverless in the Wild (ATC'20).
		Handler:    Latency{200 * time.Millisecond, 2 * time.Second},
		IdleHalf:   380 * time.Second, // SeBS (Middleware'21)
		IdleMax:    10 * time.Minute,  // STeLLAR (IISWC'21)
		LifeMean:   130 * time.Minute, // measured in masslight/ottehr #8542
		LifeMax:    14 * time.Hour,    // the lease of a worker: AWS security white paper
		ClockApart: 10 * time.Millisecond,
		MonoStops:  true, // hashicorp/vault-lambda-extension #113

		TTL:     time.Minute,
		Entries: cache.DefaultMaxEntries,
		// Estimates for a pooled SELECT, and a hit of Redis, within a region.
		Database: Latency{3 * time.Millisecond, 20 * time.Millisecond},
		Tier:     Latency{700 * time.Microsecond, 3 * time.Millisecond},

		Jitter:    0.2,
		Lease:     redistier.DefaultLease,
		LeaseWait: redistier.DefaultWait,
		ClockSkew: cache.DefaultClockSkew,

		Prices: Prices{Function: price.Default()},
	}
}

// Arrivals are how requests come.
type Arrivals string

// Kinds of Arrivals, all with the same mean rate.
const (
	Constant Arrivals = "constant" // evenly spaced
	Poisson  Arrivals = "poisson"  // independent of each other
	Bursty   Arrivals = "bursty"   // many at the same moment; the moments are Poisson's
	Diurnal  Arrivals = "diurnal"  // Poisson's, with a rate that swings within each day
)

// Routing is which warm container gets a request.
type Routing string

// Kinds of Routing.
const (
	// MostRecent takes the one that was idle for the shortest time, as AWS Lambda
	// does, and starts a new one if none is idle.
	MostRecent Routing = "recent"

	// Spread takes any of Containers places that is not busy, and starts a container
	// there if there is none, as a load balancer does with a fleet of fixed size.
	Spread Routing = "spread"
)

func (c *Config) validate() error {
	switch c.Arrivals {
	case Constant, Poisson, Bursty, Diurnal:
	default:
		return fmt.Errorf("arrivals are %q: they must be constant, poisson, bursty or diurnal", c.Arrivals)
	}
	if c.Routing != MostRecent && c.Routing != Spread {
		return fmt.Errorf("routing is %q: it must be recent or spread", c.Routing)
	}
	for _, check := range []func() error{c.validateNumbers, c.validateTimes, c.validateLatencies} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) validateNumbers() error {
	switch {
	case !(c.Rate > 0 && c.Rate <= 1e9):
		return fmt.Errorf("rate is %v: it must be positive, and at most 1e9", c.Rate)
	case c.Arrivals == Bursty && !(c.Burst >= 1 && c.Burst <= 1e9):
		return fmt.Errorf("burst is %v: it must be at least 1", c.Burst)
	case c.Arrivals == Diurnal && !(c.Diurnal >= 0 && c.Diurnal <= 1):
		return fmt.Errorf("diurnal is %v: it must be from 0 to 1", c.Diurnal)
	case c.Containers < 1:
		return fmt.Errorf("containers are %d: there must be one at least", c.Containers)
	case c.Products < 1 || c.Tenants < 1 || c.Products > math.MaxInt32/c.Tenants:
		return fmt.Errorf("products are %d and tenants %d: both must be positive, and not too many together", c.Products, c.Tenants)
	case !(c.Skew >= 0 && c.Skew <= 10):
		return fmt.Errorf("skew is %v: it must be from 0 to 10", c.Skew)
	case c.Entries < 1:
		return fmt.Errorf("entries are %d: there must be one at least", c.Entries)
	case !(c.Jitter >= 0 && c.Jitter < 1):
		return fmt.Errorf("jitter is %v: it must be at least 0 and below 1", c.Jitter)
	}
	return nil
}

func (c *Config) validateTimes() error {
	for name, d := range map[string]time.Duration{"for": c.For, "ttl": c.TTL} {
		if d <= 0 || d > longestRun {
			return fmt.Errorf("%s is %v: it must be positive, and at most %v", name, d, longestRun)
		}
	}
	for name, d := range map[string]time.Duration{
		"idle half": c.IdleHalf, "idle max": c.IdleMax, "life mean": c.LifeMean, "life max": c.LifeMax,
		"deploy at": c.DeployAt, "clock apart": c.ClockApart, "lease": c.Lease, "lease wait": c.LeaseWait, "clock skew": c.ClockSkew,
	} {
		if d < 0 {
			return fmt.Errorf("%s is %v: it must not be negative", name, d)
		}
	}
	return nil
}

// longestRun keeps the counts by the second in bounds.
const longestRun = 400 * 24 * time.Hour

func (c *Config) validateLatencies() error {
	for name, l := range map[string]Latency{"init": c.Init, "handler": c.Handler, "database": c.Database, "tier": c.Tier} {
		if l.Median < 0 || l.P99 < l.Median || l.Median == 0 && l.P99 > 0 {
			return fmt.Errorf("%s takes %v in the median and %v at p99: neither may be negative, nor p99 below the median", name, l.Median, l.P99)
		}
	}
	return nil
}

// Variant is what users may add to a cache in memory.
type Variant struct {
	Name                string
	Jitter, Tier, Lease bool
}

// Variants are all that are compared.
func Variants() []Variant {
	return []Variant{
		{Name: "plain"},
		{Name: "jitter", Jitter: true},
		{Name: "tier", Tier: true},
		{Name: "lease", Tier: true, Lease: true},
		{Name: "lease+jitter", Tier: true, Lease: true, Jitter: true},
	}
}
