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

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

func (l Latency) draw(r *rand.Rand) int64 {
	if l.Median == 0 || l.Median == l.P99 {
		return int64(l.Median)
	}
	sigma := math.Log(float64(l.P99)/float64(l.Median)) / z99
	return int64(float64(l.Median) * math.Exp(sigma*r.NormFloat64()))
}
