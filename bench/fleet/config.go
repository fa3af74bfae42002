package fleet

import (
	"flag"
	"fmt"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/redistier"
)

// Config describes a function with its users, its containers and its database. Start
// from Default. The usage of each field's flag explains the field.
type Config struct {
	Seed uint64        `json:"seed"`
	For  time.Duration `json:"for_ns"`

	Arrivals string  `json:"arrivals"`
	Rate     float64 `json:"rate"`
	Products int     `json:"products"`
	Tenants  int     `json:"tenants"`
	Skew     float64 `json:"skew"`

	Containers int           `json:"containers"`
	Routing    string        `json:"routing"`
	Init       Latency       `json:"init"`
	Handler    Latency       `json:"handler"`
	IdleHalf   time.Duration `json:"idle_half"`
	IdleMax    time.Duration `json:"idle_max"`
	LifeMean   time.Duration `json:"life_mean"`
	LifeMax    time.Duration `json:"life_max"`
	DeployAt   time.Duration `json:"deploy_at"`
	ClockApart time.Duration `json:"clock_apart"`
	MonoStops  bool          `json:"mono_stops"`

	TTL       time.Duration `json:"ttl"`
	Entries   int           `json:"entries"`
	Jitter    float64       `json:"jitter"`
	Database  Latency       `json:"database"`
	Tier      Latency       `json:"tier"`
	Lease     time.Duration `json:"lease"`
	LeaseWait time.Duration `json:"lease_wait"`
	ClockSkew time.Duration `json:"clock_skew"`
}

// Kinds of Arrivals, with the same mean rate, and of Routing.
const (
	Constant = "constant" // evenly spaced
	Poisson  = "poisson"  // independent of each other

	// MostRecent uses the warm container that was idle for the shortest time, as AWS
	// Lambda does, and starts a new one if none is idle.
	MostRecent = "recent"
	// Spread uses a random place of Containers that is not busy, and starts a container
	// there if it is empty, as a load balancer does with a fleet of fixed size.
	Spread = "spread"
)

// Default returns a busy function on AWS Lambda, with published figures where they exist.
func Default() Config {
	c := Config{Arrivals: Poisson, Routing: MostRecent, MonoStops: true} // hashicorp/vault-lambda-extension #113
	c.register(flag.NewFlagSet("", flag.ContinueOnError))
	return c
}

// longestRun bounds the counts by the second.
const longestRun = 400 * 24 * time.Hour

// option is a field that has a flag.
type option struct {
	name     string
	field    any
	standard any     // default
	min, max float64 // of a number, or of the seconds of a duration
	usage    string
}

func (c *Config) options() []option {
	const tick, most, ms = 1e-9, math.MaxInt32, time.Millisecond
	longest, forever := longestRun.Seconds(), math.Inf(1)
	latency := func(l *Latency, median, p99 time.Duration, name, of string) []option {
		return []option{
			{name + "-median", &l.Median, median, 0, forever, "median time of a " + of},
			{name + "-p99", &l.P99, p99, l.Median.Seconds(), forever, "99th percentile of the time of a " + of},
		}
	}
	return slices.Concat([]option{
		{"for", &c.For, 2 * time.Hour, tick, longest, "virtual time to simulate"},
		{"seed", &c.Seed, uint64(1), 0, forever, "seed of the random numbers"},
		{"rate", &c.Rate, 500., tick, 1e9, "requests per second, for all containers together"},
		{"products", &c.Products, 500, 1, most, "products of each tenant: a key is one product of one tenant"},
		{"tenants", &c.Tenants, 4, 1, most, "tenants"},
		{"skew", &c.Skew, 0.99, 0, 10, "exponent of Zipf's law for products and tenants; 0 means that all are as popular"}, // YCSB's
		{"containers", &c.Containers, 1000, 1, most, "containers at most; more requests at once are throttled"},
		{"idle-half", &c.IdleHalf, 380 * time.Second, 0, forever, "after this, and each time again, half of the idle containers are reclaimed"}, // SeBS (Middleware'21)
		{"idle-max", &c.IdleMax, 10 * time.Minute, 0, forever, "after this all idle containers are reclaimed; 0 means never"},                   // STeLLAR (IISWC'21)
		{"life-mean", &c.LifeMean, 130 * time.Minute, 0, forever, "mean lifetime of a container; 0 means that it does not end"},                 // masslight/ottehr #8542
		{"life-max", &c.LifeMax, 14 * time.Hour, 0, forever, "maximum lifetime of a container; 0 means none"},                                   // the lease of a worker: AWS security white paper
		{"deploy-at", &c.DeployAt, 0 * ms, 0, forever, "time at which all containers are replaced; 0 means never"},
		{"clock-apart", &c.ClockApart, 10 * ms, 0, forever, "greatest difference between the wall clocks of two containers"},
		{"ttl", &c.TTL, time.Minute, tick, longest, "TTL of the caches"},
		{"entries", &c.Entries, cache.DefaultMaxEntries, 1, most, "MaxEntries of each cache"},
		{"jitter", &c.Jitter, 0.2, 0, 1 - tick, "Jitter of the caches in the variants with jitter"},
		{"lease", &c.Lease, redistier.DefaultLease, 0, forever, "how long a lease keeps other containers from loading"},
		{"lease-wait", &c.LeaseWait, redistier.DefaultWait, 0, forever, "how long other containers wait for a lease at most"},
		{"clock-skew", &c.ClockSkew, cache.DefaultClockSkew, 0, forever, "difference of two wall clocks that the caches allow for; 0 means the default of package cache"},
	},
		// Go on x86_64, and the slowest of its images: maxday/lambda-perf, 2026-08-22.
		latency(&c.Init, 49*ms, 132*ms, "init", "start of a container"),
		// Half of all functions take less than a second: Serverless in the Wild (ATC'20).
		latency(&c.Handler, 200*ms, 2*time.Second, "handler", "request, without its database call"),
		// Estimates for a pooled SELECT, and a hit of Redis, within a region.
		latency(&c.Database, 3*ms, 20*ms, "db", "database call"),
		latency(&c.Tier, 700*time.Microsecond, 3*ms, "tier", "call to the tier"))
}

// register gives each field its default and a flag.
func (c *Config) register(f *flag.FlagSet) {
	f.StringVar(&c.Arrivals, "arrivals", c.Arrivals, "constant or poisson")
	f.StringVar(&c.Routing, "routing", c.Routing, "recent (the most recently used container, as Lambda) or spread (any of -containers)")
	f.BoolVar(&c.MonoStops, "mono-stops", c.MonoStops, "the monotonic clock stands still while a container is idle")
	for _, o := range c.options() {
		switch field := o.field.(type) {
		case *time.Duration:
			f.DurationVar(field, o.name, o.standard.(time.Duration), o.usage)
		case *float64:
			f.Float64Var(field, o.name, o.standard.(float64), o.usage)
		case *int:
			f.IntVar(field, o.name, o.standard.(int), o.usage)
		case *uint64:
			f.Uint64Var(field, o.name, o.standard.(uint64), o.usage)
		}
	}
}

func (c *Config) validate() error {
	if c.Arrivals != Constant && c.Arrivals != Poisson {
		return fmt.Errorf("-arrivals is %q: it must be constant or poisson", c.Arrivals)
	}
	if c.Routing != MostRecent && c.Routing != Spread {
		return fmt.Errorf("-routing is %q: it must be recent or spread", c.Routing)
	}
	for _, o := range c.options() {
		if err := o.check(); err != nil {
			return err
		}
	}
	if c.Products > math.MaxInt32/c.Tenants {
		return fmt.Errorf("-products is %d and -tenants %d: there are too many keys", c.Products, c.Tenants)
	}
	return nil
}

func (o option) check() error {
	var v float64
	switch field := o.field.(type) {
	case *time.Duration:
		v = field.Seconds()
	case *float64:
		v = *field
	case *int:
		v = float64(*field)
	}
	if !(v >= o.min && v <= o.max) { // NaN is neither
		return fmt.Errorf("-%s is %v: it must be from %g to %g", o.name, reflect.ValueOf(o.field).Elem(), o.min, o.max)
	}
	return nil
}

// Variant adds options to the caches in memory.
type Variant struct {
	Name                string
	Jitter, Tier, Lease bool
}

// Variants returns all variants.
func Variants() []Variant {
	return []Variant{
		{Name: "plain"},
		{Name: "jitter", Jitter: true},
		{Name: "tier", Tier: true},
		{Name: "lease", Tier: true, Lease: true},
		{Name: "lease+jitter", Tier: true, Lease: true, Jitter: true},
	}
}

// Legend explains the words of the tables and of the page.
var Legend = [][2]string{
	{"plain", "each container has a cache in memory, and nothing else"},
	{"jitter", "plain, and TTLs are shortened at random"},
	{"tier", "plain, and all containers share a server that they query before the database"},
	{"lease", "tier, and only one of the containers that miss a key loads it; the others wait for its value"},
	{"lease+jitter", "lease and jitter together"},
	{"hits", "requests answered from the container's memory"},
	{"worst second", "loads of the database in the second with the most of them"},
	{"at once", "loads at the same time, on average over the second with the most of them"},
	{"age", "time from the start of an answer's load to the answer; never more than the TTL"},
	{"Get", "time that the handler waits for its value"},
	{"all cold", "at the beginning, when the tier is empty as well"},
	{"echo", "one TTL after the deployment, when the values that were loaded together expire together"},
}
