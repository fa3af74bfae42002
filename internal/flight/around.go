package flight

import (
	"context"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// waiter is a caller that waits for a flight: what has to be known of its context.
type waiter struct {
	ctx      context.Context
	within   around // the innermost flight whose load the caller belongs to, if any
	deadline deadline
}

func newWaiter(ctx context.Context) waiter {
	w := waiter{ctx: ctx, within: aroundOf(ctx)}
	if t, ok := ctx.Deadline(); ok {
		w.deadline = deadline{t, true}
	} else if w.within != nil {
		// A load has no deadline of its own. It has no more time than those who
		// wait for it.
		w.deadline = w.within.latest()
	}
	return w
}

// isWithin reports whether the caller belongs to the load of that flight, or to
// one that it made.
func (w waiter) isWithin(f around) bool {
	for a := w.within; a != nil; a = a.around() {
		if a == f {
			return true
		}
	}
	return false
}

// deadline is when a waiter has to leave. The zero deadline is never.
type deadline struct {
	at  time.Time
	set bool
}

func (d deadline) reached(c *clock.Clock, now clock.Instant) bool {
	return d.set && c.Reached(d.at, now)
}

// around is a Flight of any type of value.
type around interface {
	around() around
	latest() deadline
}

// aroundKey is the key of the innermost flight whose load a context belongs to.
type aroundKey struct{}

func aroundOf(ctx context.Context) around {
	a, _ := ctx.Value(aroundKey{}).(around)
	return a
}

// Value implements context.Context: a load's context knows its flight.
func (f *Flight[V]) Value(key any) any {
	if key == (aroundKey{}) {
		return around(f)
	}
	return f.Context.Value(key)
}

func (f *Flight[V]) around() around { return f.outer }

// latest returns the latest deadline of those who wait for f.
func (f *Flight[V]) latest() (last deadline) {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	for _, d := range f.waiters {
		if !d.set {
			return d
		}
		if d.at.After(last.at) {
			last = d
		}
	}
	return last
}
