// Package flight shares one load among all who ask for it meanwhile, in a
// process that may be frozen, timed out and thawed at any moment.
//
// golang.org/x/sync/singleflight runs the load and wakes those who wait for it.
// This package adds what it has no notion of: waiters that leave when their own
// context ends, a load that is cancelled when the last of them has left, loads
// that must not be joined any more (too old, forgotten, or left behind by an
// invocation whose deadline has passed), and panics that reach the callers
// instead of killing the process.
package flight

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/warmcache/warmcache/internal/clock"
)

// A Group is a space of keys with at most one current flight for each. It is
// safe for concurrent use.
type Group[V any] struct {
	clock *clock.Clock

	// mu guards the flights and keeps calls in step with them: a key is in both
	// or in neither whenever it is free.
	mu      sync.Mutex
	flights map[string]*Flight[V]
	calls   singleflight.Group
}

// NewGroup returns an empty Group that tells ages and deadlines by c.
func NewGroup[V any](c *clock.Clock) *Group[V] {
	return &Group[V]{clock: c, flights: make(map[string]*Flight[V])}
}

// A Flight is one load under way.
type Flight[V any] struct {
	Started clock.Instant // before the load asked anything

	cancel  context.CancelFunc
	dropped atomic.Bool

	// Guarded by the Group's mu.
	waiters  int
	endless  int       // waiters without a deadline
	deadline time.Time // the latest of the others

	// Written by the load before it wakes anybody, read after.
	value    V
	err      error
	panicked *PanicError
	goexited chan struct{} // closed when the load called runtime.Goexit
}

// Dropped reports whether the result belongs to nobody any more: the flight was
// forgotten, abandoned or replaced. Such a result must not be kept.
//
// Whoever keeps results asks under the lock that he keeps them by, and removes
// a kept one only after Forget. Then none is kept that was loaded before.
func (f *Flight[V]) Dropped() bool { return f.dropped.Load() }

// A Load fetches the value of a key for the flight f. Its context has the values
// of the first caller's, and ends when nobody waits for the result any more.
type Load[V any] func(ctx context.Context, f *Flight[V]) (V, error)

// Do returns the result of load, or of another caller's load for the same key
// that started less than maxAge ago. Joined tells which.
//
// It returns the error of ctx as soon as ctx ends. If the load panics, Do panics
// with a *PanicError; if it calls runtime.Goexit, so does Do.
func (g *Group[V]) Do(ctx context.Context, key string, maxAge time.Duration, load Load[V]) (v V, joined bool, err error) {
	if err := ctx.Err(); err != nil {
		return v, false, err
	}
	g.mu.Lock()
	// Read under the lock: a reading from before could be behind the start of a
	// flight that began meanwhile, as if a clock had run back.
	now := g.clock.Now()
	f := g.flights[key]
	joined = f != nil && g.joinable(f, maxAge, now)
	if !joined {
		g.drop(key)
		f = &Flight[V]{Started: now, goexited: make(chan struct{})}
		g.flights[key] = f
	}
	f.enter(ctx)
	if !joined && ctx.Done() == nil {
		g.flyHere(ctx, key, f, load)
	} else {
		ch := g.calls.DoChan(key, g.fly(ctx, key, f, load, joined))
		g.mu.Unlock()
		if err := g.wait(ctx, key, f, ch); err != nil {
			return v, joined, err
		}
	}
	if f.panicked != nil {
		panic(f.panicked)
	}
	return f.value, joined, f.err
}

// flyHere runs the load in the caller's own goroutine. A caller that can never
// leave does not need another one, and it saves two thirds of a miss's time. It
// takes over the Group's lock and gives it back as soon as singleflight knows
// the call, so that nobody can come in between.
func (g *Group[V]) flyHere(ctx context.Context, key string, f *Flight[V], load Load[V]) {
	f.cancel = func() {}
	g.calls.Do(key, func() (any, error) {
		g.mu.Unlock()
		g.run(ctx, key, f, load)
		return nil, nil
	})
}

// fly returns the call for singleflight to run in a goroutine of its own.
func (g *Group[V]) fly(ctx context.Context, key string, f *Flight[V], load Load[V], joined bool) func() (any, error) {
	if joined {
		return nil // the flight is under way: singleflight has its call
	}
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return func() (any, error) {
		defer f.cancel()
		g.run(ctx, key, f, load)
		return nil, nil
	}
}

// wait waits until f has its result or ctx ends.
func (g *Group[V]) wait(ctx context.Context, key string, f *Flight[V], ch <-chan singleflight.Result) error {
	select {
	case <-ch:
		return g.clock.Err(ctx) // the process may have been frozen beyond the deadline
	case <-f.goexited: // singleflight's channels never hear of it (golang/go#52557)
		runtime.Goexit()
		panic("unreachable")
	case <-ctx.Done():
		g.leave(ctx, key, f)
		return ctx.Err()
	}
}

// run loads and leaves the result in f, whatever load does.
func (g *Group[V]) run(ctx context.Context, key string, f *Flight[V], load Load[V]) {
	returned := false
	defer func() {
		if returned {
			g.land(key, f)
			return
		}
		if r := recover(); r != nil { // the stack is still that of the panic
			f.panicked = &PanicError{Value: r, Stack: debug.Stack()}
			g.land(key, f)
			return
		}
		g.land(key, f)
		close(f.goexited)
	}()
	f.value, f.err = load(ctx, f)
	returned = true
}

// Forget makes the flight of key, if there is one, a dropped one: those who wait
// for it get its result, but nobody else does.
func (g *Group[V]) Forget(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(key)
}

// ForgetAll forgets every flight.
func (g *Group[V]) ForgetAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range g.flights {
		g.drop(key)
	}
}

// drop takes the flight of key out of the Group. The caller holds mu.
func (g *Group[V]) drop(key string) {
	if f := g.flights[key]; f != nil {
		f.dropped.Store(true)
		delete(g.flights, key)
		g.calls.Forget(key)
	}
}

// land takes f out of the Group when it has its result.
func (g *Group[V]) land(key string, f *Flight[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flights[key] == f {
		delete(g.flights, key)
		g.calls.Forget(key)
	}
}

// leave takes one waiter off f. When the last one leaves, the load is cancelled
// and a later caller starts a new one: its connection may not have survived what
// ended the first.
func (g *Group[V]) leave(ctx context.Context, key string, f *Flight[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f.waiters--
	if _, ok := ctx.Deadline(); !ok {
		f.endless--
	}
	if f.waiters > 0 {
		return
	}
	f.cancel()
	f.dropped.Store(true)
	if g.flights[key] == f {
		g.drop(key)
	}
}

// enter adds a waiter. The caller holds the Group's mu.
func (f *Flight[V]) enter(ctx context.Context) {
	f.waiters++
	if t, ok := ctx.Deadline(); !ok {
		f.endless++
	} else if t.After(f.deadline) {
		f.deadline = t
	}
}

// joinable reports whether a new caller may wait for f: it is young enough, and
// somebody who waits for it has time left. If not, it was left behind by an
// invocation that was frozen, and only looks alive. The caller holds mu.
func (g *Group[V]) joinable(f *Flight[V], maxAge time.Duration, now clock.Instant) bool {
	return f.Started.Within(maxAge, now) &&
		(f.endless > 0 || !g.clock.Reached(f.deadline, now))
}

// PanicError is what a caller panics with when its load panicked, perhaps in
// another goroutine.
type PanicError struct {
	Value any    // what the load panicked with
	Stack []byte // the load's
}

func (p *PanicError) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap returns Value if it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}
