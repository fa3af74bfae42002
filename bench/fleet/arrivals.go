package fleet

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"
)

// requests is a stream of requests, each with its time and its key. It is the same for
// all variants of one Config.
type requests struct {
	*Config
	rng      *rand.Rand
	products zipf
	tenants  zipf

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

// zipf draws i from 0 to n-1 in proportion to (i+1)^-s. The Zipf of math/rand accepts
// no exponents up to 1, which are the usual ones.
type zipf []float64 // cumulative weights

func newZipf(n int, s float64) zipf {
	z, sum := make(zipf, n), 0.0
	for i := range z {
		sum += math.Pow(float64(i+1), -s)
		z[i] = sum
	}
	return z
}

func (z zipf) draw(r *rand.Rand) int {
	return sort.SearchFloat64s(z, r.Float64()*z[len(z)-1])
}
