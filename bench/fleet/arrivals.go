package fleet

import (
	"math"
	"math/rand/v2"
	"time"
)

// requests are what comes in: when, and for which key. All variants of one Config
// get the same.
type requests struct {
	*Config
	rng      *rand.Rand
	products alias
	tenants  alias

	now  float64 // seconds
	more int     // that come with the last one
	sent int
}

func newRequests(c *Config) *requests {
	return &requests{
		Config:   c,
		rng:      rand.New(rand.NewPCG(c.Seed, 1)),
		products: newZipf(c.Products, c.Skew),
		tenants:  newZipf(c.Tenants, c.Skew),
	}
}

// next returns when the next request comes, and what it asks for.
func (r *requests) next() (at int64, key int) {
	switch r.Arrivals {
	case Constant:
		r.now = float64(r.sent) / r.Rate
		r.sent++
	case Poisson:
		r.now += r.rng.ExpFloat64() / r.Rate
	case Bursty:
		r.nextInBurst()
	case Diurnal:
		r.nextByDay()
	}
	return int64(r.now * float64(time.Second)), r.tenants.draw(r.rng)*r.Products + r.products.draw(r.rng)
}

// nextInBurst makes bursts of a geometric number of requests, which has the mean
// Burst.
func (r *requests) nextInBurst() {
	if r.more > 0 {
		r.more--
		return
	}
	r.now += r.rng.ExpFloat64() * r.Burst / r.Rate
	if r.Burst > 1 {
		r.more = int(math.Log(1-r.rng.Float64()) / math.Log(1-1/r.Burst))
	}
}

// nextByDay takes requests at the highest rate, and leaves out as many as the time of
// the day wants. The day begins at its mean, and goes up.
func (r *requests) nextByDay() {
	for {
		r.now += r.rng.ExpFloat64() / (r.Rate * (1 + r.Diurnal))
		rate := 1 + r.Diurnal*math.Sin(2*math.Pi*r.now/(24*3600))
		if r.rng.Float64()*(1+r.Diurnal) < rate {
			return
		}
	}
}
