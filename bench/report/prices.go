package report

import (
	"flag"

	"github.com/warmcache/warmcache/bench/price"
	"github.com/warmcache/warmcache/bench/result"
)

// Prices are what a function pays for.
type Prices struct {
	S3Gets float64 // USD for a million requests
	price.Function
}

// DefaultPrices are those of package price.
func DefaultPrices() Prices { return Prices{S3Gets: price.S3Gets, Function: price.Default()} }

// Flags lets a command line set them.
func (p *Prices) Flags(f *flag.FlagSet) {
	f.Float64Var(&p.S3Gets, "price-s3-get", p.S3Gets, "`USD` of a million GET requests to S3, for the report. Default: S3 Standard's list price in us-east-1")
	p.Function.Flags(f)
}

// Saving is what a million warm invocations save over as many without the library.
type Saving struct {
	Example, Host             string
	CallsWithout, CallsWarm   float64 // per invocation
	S3Gets, Database, Waiting float64 // USD
}

// Total is all of it.
func (s Saving) Total() float64 { return s.S3Gets + s.Database + s.Waiting }

// savings compares the warm rows with those without the library.
func (p Prices) savings(rows []result.Row) (savings []Saving) {
	for _, warm := range rows {
		without, ok := find(rows, warm.Example, warm.Host, result.NoCache)
		if !ok || warm.State != result.Warm {
			continue
		}
		seconds := max(mean(without.Samples)-mean(warm.Samples), 0) / 1000
		savings = append(savings, Saving{
			Example:      warm.Example,
			Host:         warm.Host,
			CallsWithout: without.OriginCalls,
			CallsWarm:    warm.OriginCalls,
			S3Gets:       (without.S3Gets - warm.S3Gets) * p.S3Gets,
			Database:     (without.DatabaseCalls - warm.DatabaseCalls) * p.DatabaseCalls,
			Waiting:      1e6 * seconds * p.GBSecond * float64(p.MemoryMB) / 1024,
		})
	}
	return savings
}

func find(rows []result.Row, example, host string, state result.State) (result.Row, bool) {
	for _, r := range rows {
		if r.Example == example && r.Host == host && r.State == state {
			return r, true
		}
	}
	return result.Row{}, false
}

func mean(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	sum := 0.0
	for _, s := range samples {
		sum += s
	}
	return sum / float64(len(samples))
}
