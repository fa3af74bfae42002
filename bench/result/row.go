package result

import (
	"slices"
	"time"
)

// Row is what was measured of a function in a state, on a host. Times are what a
// caller waits for, in milliseconds; calls and bytes are per invocation.
type Row struct {
	Example string `json:"example"`
	Host    string `json:"host"`
	State   State  `json:"state"`
	N       int    `json:"n"`
	Errors  int    `json:"errors,omitempty"` // invocations that the function failed; they are not in N

	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`

	OriginCalls   float64 `json:"origin_calls"`   // of all kinds
	S3Gets        float64 `json:"s3_gets"`        // among them
	S3Puts        float64 `json:"s3_puts"`        //
	DatabaseCalls float64 `json:"database_calls"` //
	OriginBytes   float64 `json:"origin_bytes"`   // in both directions

	Samples []float64 `json:"samples_ms"` // sorted
}

// Sample is one invocation.
type Sample struct {
	Took   time.Duration
	Failed bool
	Calls  Calls
}

// Calls are what the origins of a function were asked.
type Calls struct{ S3Gets, S3Puts, Database, Bytes int64 }

// Sub returns the calls since an earlier count.
func (c Calls) Sub(earlier Calls) Calls {
	return Calls{c.S3Gets - earlier.S3Gets, c.S3Puts - earlier.S3Puts, c.Database - earlier.Database, c.Bytes - earlier.Bytes}
}

// NewRow sums up samples. Calls count whether or not the function failed.
func NewRow(example, host string, state State, samples []Sample) Row {
	r := Row{Example: example, Host: host, State: state, Samples: []float64{}}
	var sum Calls
	for _, s := range samples {
		sum = sum.Sub(Calls{}.Sub(s.Calls))
		if s.Failed {
			r.Errors++
			continue
		}
		r.Samples = append(r.Samples, milliseconds(s.Took))
	}
	slices.Sort(r.Samples)
	r.N = len(r.Samples)
	r.P50, r.P90, r.P99 = Percentile(r.Samples, 50), Percentile(r.Samples, 90), Percentile(r.Samples, 99)
	r.perInvocation(sum, float64(max(len(samples), 1)))
	return r
}

func (r *Row) perInvocation(sum Calls, n float64) {
	r.S3Gets, r.S3Puts = float64(sum.S3Gets)/n, float64(sum.S3Puts)/n
	r.DatabaseCalls, r.OriginBytes = float64(sum.Database)/n, float64(sum.Bytes)/n
	r.OriginCalls = float64(sum.S3Gets+sum.S3Puts+sum.Database) / n
}

// milliseconds keeps three digits: nanoseconds are noise, and fill files.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// Percentile returns the nearest-rank percentile of what is sorted, 0 of nothing.
func Percentile(sorted []float64, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}
