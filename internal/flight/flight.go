// Package flight shares one load among all who ask for it meanwhile, in a
// process that may be frozen, timed out and thawed at any moment.
//
// golang.org/x/sync/singleflight runs the load and wakes those who wait for it.
// This package adds what it has no notion of: waiters that leave when their own
// context ends, a load that is cancelled when the last of them has left, loads
// that must not be joined any more (too old, forgotten, or left behind by an
// invocation whose deadline has passed), loads of many keys at once, and panics
// that reach the callers instead of killing the process.
package flight

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/warmcache/warmcache/internal/clock"
)

// ErrTimeout is the error of a Do whose load has outlasted its Timeout. It matches
// context.DeadlineExceeded.
var ErrTimeout error = timeout{} // a type of its own: fmt.Errorf would be work at init

type timeout struct{}

func (timeout) Error() string        { return "the load takes too long" }
func (timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// ErrOwnKey is the error of a Do that would wait for the load that it is made by.
var ErrOwnKey = errors.New("the load asks for its own key, and would wait for itself")

// A Group is a space of keys with at most one current flight for each. It is
// safe for concurrent use.
type Group[V any] struct {
	clock *clock.Clock

	// mu guards the seats and keeps calls in step with them: whoever holds it
	// finds a single key in both or in neither.
	mu    sync.Mutex
	seats map[string]*Seat[V]
	calls singleflight.Group

	number atomic.Uint64 // of the last flight that started; written under mu
}

// NewGroup returns an empty Group that tells ages and deadlines by c.
func NewGroup[V any](c *clock.Clock) *Group[V] {
	return &Group[V]{clock: c, seats: make(map[string]*Seat[V])}
}

// Now returns the number of the last flight that started. Flights with a greater
// number start later, whatever the clocks say.
func (g *Group[V]) Now() uint64 { return g.number.Load() }

// A Seat is what a flight carries for one key.
type Seat[V any] struct {
	flight  *Flight[V]
	key     string
	dropped atomic.Bool

	// Written by the load before it wakes anybody, read after.
	value V
	err   error
}

// Key is what the flight is known by.
func (s *Seat[V]) Key() string { return s.key }

// Started is the moment before the load began.
func (s *Seat[V]) Started() clock.Instant { return s.flight.started }

// Latest returns when the last of those who wait has to leave, if all have to.
func (s *Seat[V]) Latest() (time.Time, bool) {
	d := s.flight.latest()
	return d.at, d.set
}

// Number is that of the flight: see Group.Now.
func (s *Seat[V]) Number() uint64 { return s.flight.number }

// Dropped reports whether the result belongs to nobody any more: the key was
// forgotten, or the flight abandoned or replaced. Such a result must not be kept.
//
// Whoever keeps results asks under the lock that he keeps them by, and removes
// a kept one only after Forget. Then none is kept that was loaded before.
func (s *Seat[V]) Dropped() bool { return s.dropped.Load() }

// A Flight is a load under way. It is also the context of the load: it has the
// values of the first caller's, and ends when nobody waits for the result any
// more, or after Timeout.
type Flight[V any] struct {
	context.Context
	cancel  context.CancelFunc
	timed   bool // the Context has a Timeout
	started clock.Instant
	number  uint64

	// One load runs under one name in one singleflight.Group: a single key's in
	// that of the Group, under the key; a batch's in its own.
	calls *singleflight.Group
	name  string
	load  func(ctx context.Context, s *Seat[V]) (V, error) // of a single key
	only  Seat[V]
	batch func() // of a batch
	seats []*Seat[V]

	group *Group[V]
	outer around // the flight whose load its first caller belongs to, if any

	// Guarded by the Group's mu.
	waiters []deadline
	first   [1]deadline // there is rarely more than one

	// Written by the load before it wakes anybody, read after.
	panicked *PanicError
	exited   bool          // it called runtime.Goexit
	aborted  chan struct{} // closed when the load did not return; nil: nobody waits for that
}

// A Call is what Do is asked for.
type Call[V any] struct {
	Key     string
	MaxAge  time.Duration // flights that are older are not joined
	Timeout time.Duration // after that the load is given up. Zero: never
	Alone   bool          // no flight is joined

	// Load fetches the value for the seat s. Its error goes to all callers.
	Load func(ctx context.Context, s *Seat[V]) (V, error)
}

// Do returns the result of c.Load, or of another caller's load for the same key
// that started less than c.MaxAge ago. Joined tells which.
//
// It returns the error of ctx as soon as ctx ends. If the load panics, Do panics
// with a *PanicError; if it calls runtime.Goexit, so does Do.
func (g *Group[V]) Do(ctx context.Context, c Call[V]) (v V, joined bool, err error) {
	if err := g.clock.Err(ctx); err != nil {
		return v, false, err
	}
	w := newWaiter(ctx) // asks ctx, which must not be done under the lock
	g.mu.Lock()
	// Read under the lock: a reading from before could be behind the start of a
	// flight that began meanwhile, as if a clock had run back.
	now := g.clock.Now()
	s := g.seats[c.Key]
	if s != nil && !c.Alone && g.joinable(s.flight, c.MaxAge, now) {
		if w.isWithin(s.flight) {
			g.mu.Unlock()
			return v, false, ErrOwnKey
		}
		ch := s.flight.join(w)
		g.mu.Unlock()
		err := g.wait(w, s.flight, ch)
		return s.result(true, err)
	}
	s = g.newSingle(w, c, now)
	if ctx.Done() == nil && c.Timeout == 0 {
		g.flyHere(s.flight)
		return s.result(false, s.flight.thrown())
	}
	ch := g.fly(s.flight)
	g.mu.Unlock()
	err = g.wait(w, s.flight, ch)
	return s.result(false, err)
}

// result is what a caller gets who has waited with that error.
func (s *Seat[V]) result(joined bool, err error) (V, bool, error) {
	if err != nil {
		var zero V
		return zero, joined, err
	}
	return s.value, joined, s.err
}

// newSingle makes the flight of one key the current one, with its first waiter.
// The caller holds mu.
func (g *Group[V]) newSingle(w waiter, c Call[V], now clock.Instant) *Seat[V] {
	g.drop(g.seats[c.Key])
	f := g.newFlight(w, c.Timeout, now)
	f.calls, f.name = &g.calls, c.Key
	f.load, f.only = c.Load, Seat[V]{flight: f, key: c.Key}
	g.seats[c.Key] = &f.only
	return &f.only
}

func (g *Group[V]) newFlight(w waiter, timeout time.Duration, now clock.Instant) *Flight[V] {
	f := &Flight[V]{group: g, started: now, number: g.number.Add(1), outer: w.within}
	switch {
	case timeout > 0:
		f.timed = true
		f.Context, f.cancel = context.WithTimeout(context.WithoutCancel(w.ctx), timeout)
	case w.ctx.Done() != nil:
		f.Context, f.cancel = context.WithCancel(context.WithoutCancel(w.ctx))
	default:
		f.Context, f.cancel = w.ctx, nothing // its first caller never leaves
	}
	f.waiters = append(f.first[:0], w.deadline)
	return f
}

// nothing is not written where it is used, as it would be allocated in what has a type
// parameter.
func nothing() {}

// join adds a waiter to f and returns where singleflight will wake it. The caller
// holds the Group's mu.
func (f *Flight[V]) join(w waiter) <-chan singleflight.Result {
	f.waiters = append(f.waiters, w.deadline)
	return f.doChan(nil) // singleflight has the call
}

func (f *Flight[V]) doChan(fn func() (any, error)) <-chan singleflight.Result {
	if f.aborted == nil {
		f.aborted = make(chan struct{})
	}
	return f.calls.DoChan(f.name, fn)
}

// fly runs f's load in a goroutine of its own. The caller holds mu.
func (g *Group[V]) fly(f *Flight[V]) <-chan singleflight.Result {
	return f.doChan(func() (any, error) {
		defer f.cancel()
		growStack()
		g.run(f)
		return nil, nil
	})
}

// growStack makes room for what a load calls. A new goroutine begins with a stack of
// 2 KiB, which is copied each time that it turns out to be too small: drivers call
// deep, and to copy an empty one is cheapest.
//
//go:noinline
func growStack() {
	var room [8 << 10]byte
	runtime.KeepAlive(&room)
}

// flyHere runs f's load in the caller's own goroutine. A caller that can never leave
// does not need another one, and it saves two thirds of a miss's time. It takes
// over the Group's lock and gives it back as soon as singleflight knows the call,
// so that nobody can come in between.
func (g *Group[V]) flyHere(f *Flight[V]) {
	f.calls.Do(f.name, func() (any, error) {
		g.mu.Unlock()
		g.run(f)
		return nil, nil
	})
}

// wait waits until f has its result or the waiter's context ends, and panics or
// exits as the load did.
func (g *Group[V]) wait(w waiter, f *Flight[V], ch <-chan singleflight.Result) error {
	var over <-chan struct{}
	if f.timed {
		over = f.Context.Done()
	}
	for {
		select {
		case <-ch:
			if err := f.thrown(); err != nil {
				return err
			}
			return g.clock.Err(w.ctx) // the process may have been frozen beyond the deadline
		case <-f.aborted: // singleflight's channels never hear of a Goexit (golang/go#52557)
			return f.thrown()
		case <-w.ctx.Done():
			g.leave(w, f)
			return w.ctx.Err()
		case <-over:
			if f.Context.Err() == context.DeadlineExceeded {
				g.leave(w, f)
				return ErrTimeout
			}
			over = nil // it has landed: the result is on its way
		}
	}
}

// thrown panics or exits if the load did.
func (f *Flight[V]) thrown() error {
	if f.panicked != nil {
		panic(f.panicked)
	}
	if f.exited {
		runtime.Goexit()
	}
	return nil
}

// run loads, and takes f out of the Group, whatever load does.
func (g *Group[V]) run(f *Flight[V]) {
	returned := false
	defer func() {
		if !returned {
			f.panicked = NewPanicError(recover())
			f.exited = f.panicked == nil
		}
		g.land(f)
		if !returned && f.aborted != nil {
			// Also after a panic: if it came on the way out of a Goexit, recover has
			// ended the panic, but the Goexit goes on.
			close(f.aborted)
		}
	}()
	if f.batch != nil {
		f.batch()
	} else {
		f.only.value, f.only.err = f.load(f, &f.only)
	}
	returned = true
}

// Forget makes the result of the flight for key, if there is one, one that must
// not be kept: those who wait for it get it, but nobody else does.
func (g *Group[V]) Forget(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(g.seats[key])
}

// ForgetAll forgets every key.
func (g *Group[V]) ForgetAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.seats {
		g.drop(s)
	}
}

// drop takes a seat out of the Group. The caller holds mu.
func (g *Group[V]) drop(s *Seat[V]) {
	if s != nil {
		s.dropped.Store(true)
		g.remove(s)
	}
}

// remove makes the key of s free, if it still is s's. The caller holds mu.
func (g *Group[V]) remove(s *Seat[V]) {
	if g.seats[s.key] != s {
		return
	}
	delete(g.seats, s.key)
	if f := s.flight; f.calls == &g.calls {
		f.calls.Forget(f.name)
	}
}

// each calls do for each seat of f.
func (f *Flight[V]) each(do func(*Seat[V])) {
	if f.seats == nil {
		do(&f.only)
	}
	for _, s := range f.seats {
		do(s)
	}
}

// land takes f out of the Group when it has its result.
func (g *Group[V]) land(f *Flight[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.each(g.remove)
}

// leave takes one waiter off f. When the last one leaves, the load is cancelled
// and a later caller starts a new one: its connection may not have survived what
// ended the first.
func (g *Group[V]) leave(w waiter, f *Flight[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaveLocked(w, f)
}

func (g *Group[V]) leaveLocked(w waiter, f *Flight[V]) {
	i := slices.Index(f.waiters, w.deadline)
	f.waiters = slices.Delete(f.waiters, i, i+1)
	if len(f.waiters) == 0 {
		f.cancel()
		f.each(g.drop)
	}
}

// longest is the age beyond which no flight is joined: longer than a host lets an
// invocation run, it has been frozen.
const longest = 15 * time.Minute

// joinable reports whether a new caller may wait for f: it is young enough, and
// somebody who waits for it has time left. If not, it was left behind by an
// invocation that was frozen, and only looks alive. The caller holds mu.
func (g *Group[V]) joinable(f *Flight[V], maxAge time.Duration, now clock.Instant) bool {
	return f.started.Within(min(maxAge, longest), now) &&
		slices.ContainsFunc(f.waiters, func(d deadline) bool { return !d.reached(g.clock, now) })
}
