// Package reuse tells what an invocation found in its container, for a
// function's own logs and metrics: whether the process is new, and the
// container with it; how many invocations the process has had, how old it is,
// and how long ago the last one was.
//
//	var reused = reuse.New()
//
//	func handle(ctx context.Context, req Request) (Quote, error) {
//		inv := reused.Begin()
//		...
//		slog.InfoContext(ctx, "quote", "reuse", inv, "products", products.Stats())
//		inv.EMF(os.Stdout, "Shop", map[string]string{"function": "quote"}, slog.Any("products", products.Stats()))
//
// It is only for looking at: no code should do anything because of a start kind.
// Nothing here fails an invocation, and nothing runs between two of them.
//
// A new process knows that its container is not new by a marker file, which the
// first invocation of the first process leaves in os.TempDir. Where files in
// there outlive the container, as on a developer's machine, or several
// processes of a function share it, that is Restarted as well.
package reuse

import (
	"strconv"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// Start says what an invocation found.
type Start int

const (
	Unknown   Start = iota // a new process; os.TempDir is no help in telling whether its container is new
	Cold                   // a new process in a new container
	Restarted              // a new process in a container that has had another: its memory is lost, its files are not
	Warm                   // the process has had an invocation before
)

// String returns "unknown", "cold", "restarted" or "warm".
func (s Start) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Cold:
		return "cold"
	case Restarted:
		return "restarted"
	case Warm:
		return "warm"
	}
	return "Start(" + strconv.Itoa(int(s)) + ")"
}

// A Recorder counts the invocations of a process. It is safe for concurrent use. The
// zero Recorder is not usable: call New.
type Recorder struct {
	clock *clock.Clock
	born  clock.Instant

	mu     sync.Mutex
	number int64
	last   clock.Instant
}

// New returns a Recorder for a package-level variable: the age of the process
// counts from here. It touches no file.
func New() *Recorder { return newRecorder(clock.New()) }

func newRecorder(c *clock.Clock) *Recorder {
	return &Recorder{clock: c, born: c.Now()}
}

// An Invocation is what Begin found. It is a plain value.
type Invocation struct {
	Start  Start
	Number int64 // of the invocation in its process, from 1

	// Age is that of the process, from its call of New. A host may start a process long before it is needed.
	Age time.Duration

	// Gap is the time from the beginning of the previous invocation to that of this
	// one. Zero for the first.
	Gap time.Duration

	// Pause is how far the wall clock ran ahead of the monotonic one in the Gap:
	// the machine was paused, or its clock set. A freeze that both clocks count
	// through, as that of the cgroup freezer, cannot be told from idleness. Zero
	// if the clocks agree, as near as clocks do.
	Pause time.Duration

	began int64 // wall clock, Unix nanoseconds
}

// Thawed reports whether the machine seems to have been paused since the previous
// invocation: whether Pause is positive.
func (i Invocation) Thawed() bool { return i.Pause > 0 }

// Begin is to be called at the beginning of each invocation. Only the first call
// in a process touches a file.
func (r *Recorder) Begin() Invocation {
	i := r.next()
	if i.Start != Warm {
		i.Start = containerStart()
	}
	return i
}

func (r *Recorder) next() Invocation {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	r.number++
	i := Invocation{Number: r.number, Age: elapsed(r.born, now), began: now.Wall}
	if r.number > 1 {
		i.Start, i.Gap, i.Pause = Warm, elapsed(r.last, now), pause(r.last, now)
	}
	r.last = now
	return i
}

// elapsed is the time between two instants by the clock that shows more of it:
// either may have stood still, or been set back.
func elapsed(from, to clock.Instant) time.Duration {
	return max(time.Duration(to.Wall-from.Wall), time.Duration(to.Mono-from.Mono), 0)
}

// pause returns zero for what can be the steering of the wall clock, by NTP,
// which goes up to 500 ppm.
func pause(from, to clock.Instant) time.Duration {
	mono := time.Duration(to.Mono - from.Mono)
	ahead := time.Duration(to.Wall-from.Wall) - mono
	if ahead < 100*time.Millisecond+mono/1000 {
		return 0
	}
	return ahead
}
