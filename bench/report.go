package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// row is what was measured of an example in a state. Calls and bytes are per
// invocation.
type row struct {
	Example     string  `json:"example"`
	Host        string  `json:"host"`
	State       string  `json:"state"`
	N           int     `json:"n"`
	P50         float64 `json:"p50_ms"`
	P90         float64 `json:"p90_ms"`
	P99         float64 `json:"p99_ms"`
	OriginCalls float64 `json:"origin_calls"`
	OriginBytes float64 `json:"origin_bytes"`
}

func newRow(example, state string, samples []sample) row {
	r := row{Example: example, Host: "lambda", State: state, N: len(samples)}
	var times []time.Duration
	var calls, bytes int64
	for _, s := range samples {
		times = append(times, s.took)
		calls += s.origin.Calls
		bytes += s.origin.Bytes
	}
	slices.Sort(times)
	r.OriginCalls, r.OriginBytes = float64(calls)/float64(r.N), float64(bytes)/float64(r.N)
	r.P50, r.P90, r.P99 = percentile(times, 50), percentile(times, 90), percentile(times, 99)
	return r
}

// percentile returns the nearest-rank percentile of sorted times, in ms.
func percentile(sorted []time.Duration, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return float64(sorted[max(rank, 1)-1]) / float64(time.Millisecond)
}

func printTable(w io.Writer, rows []row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "example\thost\tstate\tn\tp50 ms\tp90 ms\tp99 ms\torigin calls\torigin bytes\t")
	for i, r := range rows {
		if i > 0 && r.Example != rows[i-1].Example {
			fmt.Fprintln(t, "\t\t\t\t\t\t\t\t\t")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t\n",
			r.Example, r.Host, r.State, r.N, r.P50, r.P90, r.P99, r.OriginCalls, r.OriginBytes)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprint(w, `
no-cache   a warm process of the same action without the library
cold       a new container, with the start of its process
restarted  a new process after a crash, with its start; memory is lost, /tmp is not
warm       the same process again
thawed     the same, after a freeze

Times are what the caller waits for; calls and bytes are per invocation. Every
answer was compared byte by byte with that of the action without the library.
`)
	return err
}
