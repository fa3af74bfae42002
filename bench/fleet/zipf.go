package fleet

import (
	"math"
	"math/rand/v2"
)

// alias draws from a discrete distribution in constant time (Vose's alias method).
// The Zipf of math/rand has no exponents up to 1, which are the usual ones.
type alias struct {
	keep  []float64 // the probability that i stands for itself
	other []int32   // else this one
}

// newZipf makes i, from 0 to n-1, come up in proportion to (i+1)^-s.
func newZipf(n int, s float64) alias {
	weights, sum := make([]float64, n), 0.0
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -s)
		sum += weights[i]
	}
	for i := range weights {
		weights[i] *= float64(n) / sum
	}
	return newAlias(weights)
}

// newAlias takes weights whose mean is 1, and spoils them.
func newAlias(weights []float64) alias {
	a := alias{keep: weights, other: make([]int32, len(weights))}
	var light, heavy []int32
	for i, w := range weights {
		if w < 1 {
			light = append(light, int32(i))
		} else {
			heavy = append(heavy, int32(i))
		}
	}
	for len(light) > 0 && len(heavy) > 0 {
		l, h := light[len(light)-1], heavy[len(heavy)-1]
		light = light[:len(light)-1]
		a.other[l] = h
		if weights[h] -= 1 - weights[l]; weights[h] < 1 {
			heavy, light = heavy[:len(heavy)-1], append(light, h)
		}
	}
	for _, i := range append(light, heavy...) {
		weights[i] = 1 // but for rounding it is
	}
	return a
}

func (a alias) draw(r *rand.Rand) int {
	i := r.IntN(len(a.keep))
	if len(a.keep) > 1 && r.Float64() >= a.keep[i] {
		return int(a.other[i])
	}
	return i
}
