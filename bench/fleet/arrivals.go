package fleet

import (
	"math/rand/v2"
	"time"
)

// requests are a stream of requests, each with its time and its key. All variants of
// one Config get the same stream.
type requests struct {
	*Config
	rng      *rand.Rand
	products alias
	tenants  alias

	now  float64 // seconds
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

// next returns the time and the key of the next request.
func (r *requests) next() (at int64, key int) {
	switch r.Arrivals {
	case Constant:
		r.now = float64(r.sent) / r.Rate
		r.sent++
	case Poisson:
		r.now += r.rng.ExpFloat64() / r.Rate
	}
	return int64(r.now * float64(time.Second)), r.tenants.draw(r.rng)*r.Products + r.products.draw(r.rng)
}
