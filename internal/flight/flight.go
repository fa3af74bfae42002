// Package flight coalesces loads: callers that request the same key at the same
// time share one load. The process may be frozen, timed out and thawed at any
// moment.
//
// golang.org/x/sync/singleflight runs the load. This package adds callers that
// leave when their own context ends, loads that are canceled when their last caller
// has left, loads that must not be joined any more (too old, invalidated, or left
// behind by an invocation that has ended), loads that wait for an older load of
// their key, loads of many keys at once, and panics that reach the callers instead
// of killing the process.
package flight

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/warmcache/warmcache/internal/clock"
)

// ErrTimeout is the error of a Do whose load has outlasted its Timeout. It matches
// context.DeadlineExceeded.
var ErrTimeout error = timeout{} // not fmt.Errorf, which would run at init

type timeout struct{}

func (timeout) Error() string        { return "the load timed out" }
func (timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// ErrOwnKey is the error of a Do that would wait for the load that it is called by.
var ErrOwnKey = errors.New("a load requests its own key, and would wait for itself")

// A Group is a space of keys. It is safe for concurrent use.
type Group[V any] struct {
	clock *clock.Clock

	mu    sync.Mutex
	lines map[string]*line[V] // of the keys that a flight runs or waits for
	calls singleflight.Group  // of the flights of a single key that are current

	lastID atomic.Uint64
}

// NewGroup returns an empty Group that tells ages and deadlines by c.
func NewGroup[V any](c *clock.Clock) *Group[V] {
	return &Group[V]{clock: c, lines: make(map[string]*line[V])}
}

// LastID returns the ID of the last flight that began. Flights with a greater ID begin
// later, even if a clock runs back.
func (g *Group[V]) LastID() uint64 { return g.lastID.Load() }

// NextID returns an ID for an event of now. It is greater than those of all flights
// that have begun.
func (g *Group[V]) NextID() uint64 { return g.lastID.Add(1) }

// Terms control which loads a caller joins, and how a load that it starts runs.
type Terms struct {
	// MaxAge is the age from which a load is not joined.
	MaxAge time.Duration

	// UndatedMaxAge replaces MaxAge for a load that only callers without a
	// deadline wait for: nothing tells whether their invocation still runs. Such a
	// load is not joined either once a caller has left it. Zero means that these
	// callers count like others.
	UndatedMaxAge time.Duration

	// After is the ID, modulo 1<<32, that a load must be later than to be joined.
	// Zero means any.
	After uint32

	// Queue makes the load begin when the current load of its key has ended,
	// instead of beside it. Meanwhile all other callers join it.
	Queue bool

	// Timeout is how long the load may take. Zero means no limit.
	Timeout time.Duration

	// Inline lets a caller that can never leave run the load in its own goroutine,
	// which saves two thirds of the time of a miss. Then the Timeout ends the
	// load's context, but this caller waits until the load has returned.
	Inline bool
}

// A Request is a call for the value of one key.
type Request[V any] struct {
	Key string
	Terms

	// Load fetches the value for c. Its error goes to all callers.
	Load func(ctx context.Context, c *Call[V]) (V, error)
}

// Do returns the result of r.Load, or of another caller's load of the same key if
// r.Terms allow to join it. Joined reports which.
//
// If ctx ends, Do returns its error at once. If the load panics, Do panics with a
// *PanicError; if it calls runtime.Goexit, so does Do.
func (g *Group[V]) Do(ctx context.Context, r Request[V]) (v V, joined bool, err error) {
	if err := g.clock.Err(ctx); err != nil {
		return v, false, err
	}
	w := newWaiter(ctx) // calls methods of ctx, so not under the lock
	g.mu.Lock()
	// Read under the lock: an earlier reading could be behind the start of a flight
	// that began meanwhile, as if a clock had run back.
	now, at := g.clock.NowTime()
	l := g.lines[r.Key]
	if isWithinAny(w, l) {
		g.mu.Unlock()
		return v, false, ErrOwnKey
	}
	if c := g.joinable(l, &r.Terms, now); c != nil {
		c.flight.join(w)
		g.mu.Unlock()
		return c.result(true, g.wait(w, c.flight))
	}
	f := newFlight(g, w, &r.Terms)
	f.load = r.Load
	f.single = Call[V]{flight: f, key: r.Key}
	if r.Queue && l != nil && l.current != nil && g.alive(l.current.flight, &r.Terms, now) {
		f.queueBehind(l.current.flight)
	} else {
		f.calls = &g.calls
	}
	g.enter(&f.single)
	f.prepare(now, at)
	if w.done == nil && (r.Timeout == 0 || r.Inline) && !f.queued() {
		g.runInline(f)
		return f.single.result(false, f.rethrow())
	}
	g.start(f)
	g.mu.Unlock()
	return f.single.result(false, g.wait(w, f))
}

// A Flight is a load in progress, or a queued one. It is also the load's context: it
// has the values of the first caller's, and ends when the last caller has left, or
// after Timeout.
type Flight[V any] struct {
	loadContext

	group   *Group[V]
	parent  parent // the flight whose load the first caller belongs to, if any
	id      uint64
	started clock.Instant
	timeout time.Duration

	// One load runs under one name in one singleflight.Group: a single key's in
	// that of the Group, under the key; all others' in one of their own.
	calls  *singleflight.Group
	load   func(ctx context.Context, c *Call[V]) (V, error) // of a single key
	single Call[V]
	batch  func() // of many keys
	many   []*Call[V]

	behind []*Flight[V]  // a queued flight waits for these
	began  chan struct{} // closed when it begins; nil if it was not queued
	left   chan struct{} // closed when the last caller has left; nil if it was not queued

	// Guarded by the Group's mu.
	ended    chan struct{} // closed when the load has ended, in any way; nil if nobody waits
	waiters  []deadline
	first    [1]deadline   // there is rarely more than one
	deserted bool          // a caller has left those without a deadline
	released chan struct{} // closed when queued flights need not wait for it any more; nil if none does

	abandoned atomic.Bool // the last caller has left

	// Written by the load before it ends, read after.
	panicked *PanicError
	exited   bool // it called runtime.Goexit
}

// newFlight returns a flight with its first waiter.
func newFlight[V any](g *Group[V], w waiter, t *Terms) *Flight[V] {
	f := &Flight[V]{group: g, timeout: t.Timeout, parent: w.parent}
	f.values = w.withoutCancel()
	f.waiters = append(f.first[:0], w.deadline)
	return f
}

// each calls do for each Call of f.
func (f *Flight[V]) each(do func(*Call[V])) {
	if f.batch == nil {
		do(&f.single)
	}
	for _, c := range f.many {
		do(c)
	}
}

func (f *Flight[V]) queued() bool { return f.began != nil }

// queueBehind makes f wait until a has ended or been abandoned. The caller holds mu.
func (f *Flight[V]) queueBehind(a *Flight[V]) {
	if a.released == nil {
		a.released = make(chan struct{})
	}
	f.behind = append(f.behind, a)
	if f.began == nil {
		f.began = make(chan struct{})
	}
}

// prepare begins f if it is not queued. The caller holds mu.
func (f *Flight[V]) prepare(now clock.Instant, at time.Time) {
	if f.queued() {
		f.started, f.left = now, make(chan struct{})
		return
	}
	f.begin(now, at)
}

// begin makes f the current flight of its keys. The caller holds mu.
func (f *Flight[V]) begin(now clock.Instant, at time.Time) {
	f.id, f.started = f.group.lastID.Add(1), now
	if f.timeout > 0 {
		f.deadline = at.Add(f.timeout)
	}
	f.each(f.group.makeCurrent)
}

// start runs f's load in a new goroutine. The caller holds mu, so that singleflight
// registers the call before another call of the same key.
func (g *Group[V]) start(f *Flight[V]) {
	if f.calls == nil {
		f.calls = new(singleflight.Group)
	}
	f.ended = make(chan struct{})
	f.calls.DoChan(f.single.key, func() (any, error) {
		growStack()
		g.run(f)
		return nil, nil
	})
}

// runInline runs f's load in the caller's goroutine. It is called with the Group's
// lock held, and releases it once singleflight has registered the call.
func (g *Group[V]) runInline(f *Flight[V]) {
	f.calls.Do(f.single.key, func() (any, error) {
		g.mu.Unlock()
		g.run(f)
		return nil, nil
	})
}

// run loads, and removes f from the Group, even after a panic or a Goexit.
func (g *Group[V]) run(f *Flight[V]) {
	returned := false
	defer func() {
		if !returned {
			f.panicked = NewPanicError(recover())
			f.exited = f.panicked == nil
		}
		g.finish(f)
		// If a deferred function panicked during a Goexit, recover has ended the
		// panic, but the Goexit continues.
		if f.ended != nil { // it does not change any more
			close(f.ended)
		}
		f.end()
	}()
	switch {
	case f.queued() && !g.await(f):
	case f.batch != nil:
		f.batch()
	default:
		f.single.value, f.single.err = f.load(f, &f.single)
	}
	returned = true
}

// await waits until a queued flight may begin, and begins it. It returns false if f
// was abandoned.
func (g *Group[V]) await(f *Flight[V]) bool {
	for _, a := range f.behind {
		select {
		case <-a.released:
		case <-f.left:
			return false
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.abandoned.Load() {
		return false
	}
	f.behind = nil
	f.begin(g.clock.NowTime())
	close(f.began)
	return true
}

// finish removes f from the Group when its load has ended.
func (g *Group[V]) finish(f *Flight[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.release()
	f.each(g.exit)
}

// release lets the flights begin that are queued behind f. The caller holds mu.
func (f *Flight[V]) release() {
	if f.released != nil {
		select {
		case <-f.released: // already
		default:
			close(f.released)
		}
	}
}

// rethrow panics or exits if the load did.
func (f *Flight[V]) rethrow() error {
	if f.panicked != nil {
		panic(f.panicked)
	}
	if f.exited {
		runtime.Goexit()
	}
	return nil
}
