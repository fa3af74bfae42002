// Package reuse describes the container that an invocation runs in, for a function's
// own logs and metrics: whether the process is new, and the container with it; how many
// invocations the process has had, how old it is, and how long ago the last one was.
//
//	var reused = reuse.New()
//
//	func handle(ctx context.Context, req Request) (Quote, error) {
//		inv := reused.Begin()
//		...
//		slog.InfoContext(ctx, "quote", "reuse", inv, "products", products.Stats())
//		inv.EMF(os.Stdout, "Shop", map[string]string{"function": "quote"}, slog.Any("products", products.Stats()))
//
// It is for observation only: no code should depend on a [Start]. It never fails an
// invocation, and runs nothing between two of them.
//
// The first invocation of the first process in a container leaves a marker file in
// os.TempDir, by which later processes know that their container is not new. If files
// there outlive the container, as on a developer's machine, or if several processes of
// a function share it, a start is Restarted as well.
package reuse

import (
	"strconv"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// Start is the state of the container that an invocation found.
type Start int

const (
	Unknown   Start = iota // a new process; os.TempDir does not tell whether its container is new
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
// zero Recorder is not usable: call [New].
type Recorder struct {
	clock *clock.Clock
	born  clock.Instant

	mu     sync.Mutex
	number int64
	last   clock.Instant
}

// New returns a [Recorder] for a package-level variable. The age of the process counts
// from this call. New touches no file.
func New() *Recorder { return newRecorder(clock.New()) }

func newRecorder(c *clock.Clock) *Recorder {
	return &Recorder{clock: c, born: c.Now()}
}

// An Invocation is the result of [Recorder.Begin]. It is a plain value.
type Invocation struct {
	Start  Start
	Number int64 // of the invocation in its process, from 1

	// Age is the age of the process, since its call of New. A host may start a process
	// long before it is needed.
	Age time.Duration

	// Gap is the time from the beginning of the previous invocation to that of this
	// one. Zero for the first.
	Gap time.Duration

	// Pause is the time by which the wall clock ran ahead of the monotonic clock
	// during the Gap, because the machine was paused or its clock was set. A freeze
	// during which both clocks run, such as that of the cgroup freezer, looks like
	// idleness. Zero if the clocks agree, within their accuracy.
	Pause time.Duration

	began int64 // wall clock, Unix nanoseconds
}

// Thawed reports whether the machine seems to have been paused since the previous
// invocation. It has if Pause is positive.
func (i Invocation) Thawed() bool { return i.Pause > 0 }

// Begin returns the state of the container for a new invocation. Call it at the start
// of each invocation. Only the first call in a process touches a file.
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

// elapsed returns the longer of the times between two instants by the two clocks:
// either clock may have stopped, or been set back.
func elapsed(from, to clock.Instant) time.Duration {
	return max(time.Duration(to.Wall-from.Wall), time.Duration(to.Mono-from.Mono), 0)
}

// pause returns zero for a difference that NTP may cause, which steers the wall clock
// by up to 500 ppm.
func pause(from, to clock.Instant) time.Duration {
	mono := time.Duration(to.Mono - from.Mono)
	ahead := time.Duration(to.Wall-from.Wall) - mono
	if ahead < 100*time.Millisecond+mono/1000 {
		return 0
	}
	return ahead
}
