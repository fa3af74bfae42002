package fleet

import (
	"math"
	"math/rand/v2"
	"time"
)

// A Latency is log-normal, as most are. Zero takes no time.
type Latency struct {
	Median time.Duration `json:"median_ns"`
	P99    time.Duration `json:"p99_ns"`
}

// z99 is how many standard deviations the 99th percentile of a normal distribution
// is above its median.
const z99 = 2.3263478740408408

func (l Latency) sigma() float64 {
	if l.Median == 0 {
		return 0
	}
	return math.Log(float64(l.P99)/float64(l.Median)) / z99
}

// sampler draws from a Latency.
type sampler struct{ median, sigma float64 }

func (l Latency) sampler() sampler { return sampler{float64(l.Median), l.sigma()} }

func (s sampler) draw(r *rand.Rand) int64 {
	if s.sigma == 0 {
		return int64(s.median)
	}
	return int64(s.median * math.Exp(s.sigma*r.NormFloat64()))
}
