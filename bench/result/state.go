package result

import "slices"

// State is the state of a function before an invocation.
type State string

// The states, in the order of their rows.
const (
	NoCacheCold State = "no-cache cold"
	NoCache     State = "no-cache"
	Cold        State = "cold"
	Restarted   State = "restarted"
	TimedOut    State = "timed-out"
	Warm        State = "warm"
	Thawed      State = "thawed"
	Concurrent  State = "concurrent"
)

// States are all states, in the order of their rows.
var States = []State{NoCacheCold, NoCache, Cold, Restarted, TimedOut, Warm, Thawed, Concurrent}

var meanings = map[State]string{
	NoCacheCold: "the action without the library in a new container, including the start of its process",
	NoCache:     "the action without the library in a warm process",
	Cold:        "a new container, including the start of its process",
	Restarted:   "a new process after a crash, including its start; memory is lost, /tmp is kept",
	TimedOut:    "the invocation after one that the time-out killed",
	Warm:        "the same process again",
	Thawed:      "the same process after a freeze",
	Concurrent:  "warm, several invocations at the same time in one process",
}

// Meaning explains s in a line.
func (s State) Meaning() string { return meanings[s] }

// States returns the states that rows have, in their order.
func (rows Rows) States() (states []State) {
	for _, s := range States {
		if slices.ContainsFunc(rows, func(r Row) bool { return r.State == s }) {
			states = append(states, s)
		}
	}
	return states
}
