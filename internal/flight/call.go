package flight

import (
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// A Call is the part of a flight that is about one key.
type Call[V any] struct {
	flight *Flight[V]
	key    string
	line   *line[V]
	own    line[V] // the line, if there was none

	// Written by the load before it ends, read after.
	value V
	err   error
}

// A line is the state of one key, shared by all flights of it that run or wait.
type line[V any] struct {
	// Guarded by the Group's mu.
	current *Call[V] // of the newest flight that has begun, unless it must not be joined
	pending *Call[V] // of the flight that is queued
	calls   int      // that have not ended

	newest atomic.Uint64 // the ID of the newest flight that has begun
	least  atomic.Uint64 // no result of a flight with a smaller ID may be kept
}

// Key returns the key of c.
func (c *Call[V]) Key() string { return c.key }

// ID returns the ID of the load: see Group.LastID.
func (c *Call[V]) ID() uint64 { return c.flight.id }

// Started returns the moment before the load began.
func (c *Call[V]) Started() clock.Instant { return c.flight.started }

// LatestDeadline returns the latest deadline of the waiting callers. If one of them has
// none, ok is false.
func (c *Call[V]) LatestDeadline() (t time.Time, ok bool) {
	d := c.flight.latest()
	return d.at, d.set
}

// Set sets the value of c, for the load of a Batch.
func (c *Call[V]) Set(v V) { c.value, c.err = v, nil }

// Fail sets the error of c, for the load of a Batch.
func (c *Call[V]) Fail(err error) { c.err = err }

// Claim reports whether the result may be kept. It may not if the key has been
// invalidated since the load began, if a younger load has claimed it, or if all
// callers have left.
//
// Call Claim under the lock that guards the kept results, and call Invalidate under
// the same lock before a kept result is removed. Then no result is kept that was
// loaded before.
func (c *Call[V]) Claim() bool {
	if c.flight.abandoned.Load() {
		return false
	}
	for {
		least := c.line.least.Load()
		if c.flight.id < least {
			return false
		}
		if c.line.least.CompareAndSwap(least, c.flight.id) {
			return true
		}
	}
}

// Revoked reports whether Claim would fail, or a younger load of the key has begun.
func (c *Call[V]) Revoked() bool {
	id := c.flight.id
	return c.flight.abandoned.Load() || id < c.line.least.Load() || id < c.line.newest.Load()
}

// result returns the result for a caller whose wait ended with that error.
func (c *Call[V]) result(joined bool, err error) (V, bool, error) {
	if err != nil {
		var zero V
		return zero, joined, err
	}
	return c.value, joined, c.err
}

// enter adds c to the line of its key. The caller holds mu.
func (g *Group[V]) enter(c *Call[V]) {
	c.line = g.lines[c.key]
	if c.line == nil {
		c.line = &c.own
		g.lines[c.key] = c.line
	}
	c.line.calls++
	if c.flight.queued() {
		c.line.pending = c
	}
}

// makeCurrent lets new callers join c, and none before it. The caller holds mu.
func (g *Group[V]) makeCurrent(c *Call[V]) {
	g.withdraw(c)
	if old := c.line.current; old != nil {
		g.withdraw(old)
	}
	c.line.current = c
	c.line.newest.Store(c.flight.id)
}

// withdraw keeps new callers from joining c. The caller holds mu.
func (g *Group[V]) withdraw(c *Call[V]) {
	if c.line.pending == c {
		c.line.pending = nil
	}
	if c.line.current == c {
		c.line.current = nil
		if c.flight.calls == &g.calls {
			g.calls.Forget(c.key)
		}
	}
}

// exit removes c when its load has ended. The caller holds mu.
func (g *Group[V]) exit(c *Call[V]) {
	g.withdraw(c)
	c.line.calls--
	if c.line.calls == 0 {
		delete(g.lines, c.key)
	}
}

// Invalidate keeps Claim from succeeding for all loads of key that have begun. Their
// callers get the results, but no new caller joins.
func (g *Group[V]) Invalidate(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.lines[key]; l != nil {
		g.invalidate(l)
	}
}

// InvalidateAll invalidates every key.
func (g *Group[V]) InvalidateAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lines {
		g.invalidate(l)
	}
}

func (g *Group[V]) invalidate(l *line[V]) {
	l.least.Store(g.lastID.Load() + 1)
	if l.current != nil {
		g.withdraw(l.current)
	}
}
