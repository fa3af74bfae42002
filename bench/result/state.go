package result

// State is what an invocation found.
type State string

// The states, in the order of their rows.
const (
	NoCache    State = "no-cache"
	Cold       State = "cold"
	Restarted  State = "restarted"
	TimedOut   State = "timed-out"
	Warm       State = "warm"
	Thawed     State = "thawed"
	Concurrent State = "concurrent"
)

// States are all of them, in the order of their rows.
var States = []State{NoCache, Cold, Restarted, TimedOut, Warm, Thawed, Concurrent}

var meanings = map[State]string{
	NoCache:    "a warm process of the same action without the library",
	Cold:       "a new container, with the start of its process",
	Restarted:  "a new process after a crash, with its start; memory is lost, /tmp is not",
	TimedOut:   "the one after an invocation that was killed in its middle by the time-out",
	Warm:       "the same process again",
	Thawed:     "the same, after a freeze",
	Concurrent: "warm, with others at the same time in the same process",
}

// Meaning says it in a line.
func (s State) Meaning() string { return meanings[s] }
