// Package result has the figures of functions on the bench's hosts: rows of times with
// the conditions of their measurement, as a table and as JSON.
package result

import (
	"slices"
	"time"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/internal/compare"
	"github.com/warmcache/warmcache/internal/conditions"
)

// File is a run of the bench, as -json writes it.
type File struct {
	Kind       string                `json:"kind"` // "functions"
	Conditions conditions.Conditions `json:"conditions"`
	Rows       Rows                  `json:"rows"`
}

// NewFile ends a measurement.
func NewFile(c conditions.Conditions, rows Rows) File {
	c.LoadAfter = conditions.LoadAverage()
	return File{Kind: "functions", Conditions: c, Rows: rows}
}

// Write makes or replaces a file of JSON. An empty name writes nothing.
func (f File) Write(name string) error { return compare.WriteJSON(name, f) }

// Row holds the figures of a function in a state, on a host. Times are in
// milliseconds, from the caller's call to its answer; calls and bytes are means per
// invocation. A nil pointer is an unknown figure.
type Row struct {
	Example string `json:"example"`
	Host    string `json:"host"`
	State   State  `json:"state"`
	N       int    `json:"n"`
	Errors  int    `json:"errors,omitempty"` // failed invocations, which N does not include
	Busy    int    `json:"busy,omitempty"`   // invocations that no process accepted; not in N or Errors

	// Statuses counts the answers with an HTTP status of 400 and more. Those of 500
	// and more are errors too.
	Statuses map[int]int `json:"statuses,omitempty"`

	FirstByte *float64 `json:"first_byte_p50_ms,omitempty"` // of streamed responses

	P50 *float64 `json:"p50_ms"`
	P90 *float64 `json:"p90_ms"` // of 10 samples at least
	P99 *float64 `json:"p99_ms"` // of 100 samples at least

	OriginCalls *float64 `json:"origin_calls"` // requests and statements
	OriginBytes *float64 `json:"origin_bytes"` // in both directions

	Samples []float64 `json:"samples_ms"` // sorted
}

// Rows are those of one run, with all states of an example on a host together.
type Rows []Row

// Sample is one invocation.
type Sample struct {
	Took      time.Duration
	FirstByte time.Duration // of a streamed response, else 0
	Failed    bool
	Busy      bool           // there was no invocation
	Status    int            // of an answer in the form of an HTTP response, else 0
	Calls     *origin.Counts // nil if unknown
}

// NewRow summarizes samples. The calls of failed invocations count too.
func NewRow(example, host string, state State, samples []Sample) Row {
	r := Row{Example: example, Host: host, State: state, Samples: []float64{}}
	var sum origin.Counts
	counted := 0
	var firstBytes []float64
	for _, s := range samples {
		if s.Busy {
			r.Busy++
			continue
		}
		if s.Status >= 400 {
			if r.Statuses == nil {
				r.Statuses = map[int]int{}
			}
			r.Statuses[s.Status]++
		}
		if s.Calls != nil {
			sum = sum.Add(*s.Calls)
			counted++
		}
		if s.Failed {
			r.Errors++
			continue
		}
		r.Samples = append(r.Samples, milliseconds(s.Took))
		if s.FirstByte > 0 {
			firstBytes = append(firstBytes, milliseconds(s.FirstByte))
		}
	}
	if len(firstBytes) > 0 {
		r.FirstByte = new(compare.Median(firstBytes))
	}
	slices.Sort(r.Samples)
	r.N = len(r.Samples)
	r.P50, r.P90, r.P99 = r.percentile(50), r.percentile(90), r.percentile(99)
	mean := func(n int64) *float64 {
		if counted == 0 {
			return nil
		}
		return new(float64(n) / float64(counted))
	}
	r.OriginCalls, r.OriginBytes = mean(sum.Calls), mean(sum.Bytes)
	return r
}

// milliseconds rounds to microseconds: nanoseconds are noise and enlarge files.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}

// percentile returns nil if there are too few samples: the p90 of nine samples is their
// maximum, and so is the p99 of 99.
func (r Row) percentile(p int) *float64 {
	if r.N == 0 || p > 50 && r.N*(100-p) < 100 {
		return nil
	}
	return new(compare.Percentile(r.Samples, p))
}

// Find returns the row of an example on a host in a state, or an empty row.
func (rows Rows) Find(example, host string, state State) Row {
	for _, r := range rows {
		if r.Example == example && r.Host == host && r.State == state {
			return r
		}
	}
	return Row{}
}

// Groups splits the rows by example and host.
func (rows Rows) Groups() (groups []Rows) {
	for i, r := range rows {
		if i == 0 || r.Example != rows[i-1].Example || r.Host != rows[i-1].Host {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], r)
	}
	return groups
}

// Share returns the library's own share of a cold start in milliseconds: the p50 and
// the p90 of one group's cold starts, minus those without the library.
func (rows Rows) Share() (p50, p90 *float64) {
	r := rows[0]
	cold, plain := rows.Find(r.Example, r.Host, Cold), rows.Find(r.Example, r.Host, NoCacheCold)
	return less(cold.P50, plain.P50), less(cold.P90, plain.P90)
}

func less(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return new(*a - *b)
}

// Speedup returns the ratio of a group's medians, without the library over warm, and
// the range of that ratio between the 10th and the 90th percentiles of both. It returns
// zeros if one of them is unknown.
func (rows Rows) Speedup() (median, least, most float64) {
	r := rows[0]
	warm, plain := rows.Find(r.Example, r.Host, Warm), rows.Find(r.Example, r.Host, NoCache)
	if warm.N == 0 || plain.N == 0 || *warm.P50 == 0 {
		return 0, 0, 0
	}
	at := func(r Row, p int) float64 { return compare.Percentile(r.Samples, p) }
	return *plain.P50 / *warm.P50, at(plain, 10) / at(warm, 90), at(plain, 90) / at(warm, 10)
}

// HostNames are the proper names of the hosts.
var HostNames = map[string]string{"lambda": "Lambda", "openwhisk": "OpenWhisk"}
