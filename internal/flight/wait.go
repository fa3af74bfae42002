package flight

import (
	"context"
	"slices"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// waiter is a caller that waits for a flight, with the facts about its context.
type waiter struct {
	ctx      context.Context
	done     <-chan struct{}
	parent   parent // the innermost flight whose load the caller belongs to, if any
	deadline deadline
}

func newWaiter(ctx context.Context) waiter {
	w := waiter{ctx: ctx, done: ctx.Done(), parent: parentOf(ctx)}
	t, ok := ctx.Deadline()
	if w.parent == nil {
		w.deadline = deadline{t, ok}
		return w
	}
	// The load's callers may leave before its own deadline. That deadline is not a
	// caller's: a load without any other deadline may belong to an invocation that
	// has ended.
	w.deadline = w.parent.latest()
	if own, timed := w.parent.Deadline(); ok && !(timed && t.Equal(own)) && (!w.deadline.set || t.Before(w.deadline.at)) {
		w.deadline = deadline{t, true}
	}
	return w
}

// isWithin reports whether the caller belongs to the load of f, or to a load that it
// made.
func (w waiter) isWithin(f parent) bool {
	for p := w.parent; p != nil; p = p.enclosing() {
		if p == f {
			return true
		}
	}
	return false
}

// isWithinAny reports whether the caller belongs to a load of l, or to one that the queued
// load waits for.
func isWithinAny[V any](w waiter, l *line[V]) bool {
	if w.parent == nil || l == nil {
		return false
	}
	if l.current != nil && w.isWithin(l.current.flight) {
		return true
	}
	if l.pending == nil {
		return false
	}
	f := l.pending.flight
	return w.isWithin(f) || slices.ContainsFunc(f.behind, func(a *Flight[V]) bool { return w.isWithin(a) })
}

// deadline is the time until which a waiter can wait. The zero deadline is never.
type deadline struct {
	at  time.Time
	set bool
}

func (d deadline) reached(c *clock.Clock, now clock.Instant) bool {
	return d.set && c.Reached(d.at, now)
}

// joinable returns the Call on l that a new caller may wait for, if there is one. The
// caller holds mu.
func (g *Group[V]) joinable(l *line[V], t *Terms, now clock.Instant) *Call[V] {
	if l == nil {
		return nil
	}
	if c := l.pending; c != nil && g.alive(c.flight, t, now) {
		return c // it begins later than the caller
	}
	c := l.current
	if c == nil || t.After != 0 && int32(uint32(c.flight.id)-t.After) <= 0 {
		return nil
	}
	maxAge := t.MaxAge
	if t.UndatedMaxAge > 0 && !g.dated(c.flight, now) {
		maxAge = min(maxAge, t.UndatedMaxAge)
	}
	if !c.flight.started.Within(min(maxAge, clock.LongestInvocation), now) || !g.alive(c.flight, t, now) {
		return nil
	}
	return c
}

// dated reports whether a caller waits for f that has a deadline, and time left. The
// caller holds mu.
func (g *Group[V]) dated(f *Flight[V], now clock.Instant) bool {
	return slices.ContainsFunc(f.waiters, func(d deadline) bool { return d.set && !d.reached(g.clock, now) })
}

// alive reports whether a caller with time left waits for f. If there is none, f
// was left behind by an invocation that was frozen. The caller holds mu.
func (g *Group[V]) alive(f *Flight[V], t *Terms, now clock.Instant) bool {
	return f.started.Within(clock.LongestInvocation, now) && slices.ContainsFunc(f.waiters, func(d deadline) bool {
		if d.set {
			return !d.reached(g.clock, now)
		}
		return t.UndatedMaxAge == 0 || !f.deserted
	})
}

// join adds a waiter to f. The caller holds the Group's mu.
func (f *Flight[V]) join(w waiter) {
	f.waiters = append(f.waiters, w.deadline)
	if f.ended == nil { // it runs in its first caller's goroutine
		f.ended = make(chan struct{})
	}
}

// wait waits until f has its result or the waiter's context ends, and panics or exits
// as the load did.
func (g *Group[V]) wait(w waiter, f *Flight[V]) error {
	var over <-chan struct{}
	began := f.began
	if began == nil {
		over = f.over(w)
	}
	for {
		select {
		case <-f.ended:
			f.rethrow()
			return g.clock.Err(w.ctx) // the process may have been frozen beyond the deadline
		case <-w.done:
			g.leave(w, f)
			return w.ctx.Err()
		case <-began:
			began, over = nil, f.over(w)
		case <-over:
			if f.Err() == context.DeadlineExceeded {
				g.leave(w, f)
				return ErrTimeout
			}
			over = nil // its load has ended
		}
	}
}

// over returns the channel that is closed when f's Timeout is over. The channel costs a
// timer, so over returns nil if the waiter's own context ends before.
func (f *Flight[V]) over(w waiter) <-chan struct{} {
	if f.deadline.IsZero() {
		return nil
	}
	if t, ok := w.ctx.Deadline(); ok && t.Before(f.deadline) {
		return nil
	}
	return f.Done()
}

// leave removes a waiter from f. When the last one leaves, the load is canceled and a
// later caller begins a new one: the event that ended the first one may have broken its
// connection.
func (g *Group[V]) leave(w waiter, f *Flight[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(f.waiters, w.deadline)
	f.waiters = slices.Delete(f.waiters, i, i+1)
	f.desert()
	if len(f.waiters) > 0 {
		return
	}
	f.abandoned.Store(true)
	f.end()
	if f.left != nil {
		close(f.left)
	}
	f.release()
	f.each(g.withdraw)
	for _, a := range f.behind {
		a.desert()
	}
}

// desert notes that a caller has left f, if only callers without a deadline remain:
// they may belong to an invocation that has ended. The caller holds mu.
func (f *Flight[V]) desert() {
	f.deserted = f.deserted || !slices.ContainsFunc(f.waiters, func(d deadline) bool { return d.set })
}
