// Package until ends calls at a deadline, and has a timer only for those that wait
// for it.
package until

import (
	"context"
	"sync"
	"time"
)

// A Context is what context.WithDeadline makes, but a call that looks at Deadline and
// Err, and never at Done, costs it no timer. It is safe for concurrent use.
type Context struct {
	parent context.Context
	at     time.Time

	mu     sync.Mutex
	over   bool            // cancelled
	timed  context.Context // made when somebody is to be woken
	cancel context.CancelFunc
}

// With returns a Context that ends with parent, at the deadline, or by Cancel.
func With(parent context.Context, at time.Time) *Context {
	return &Context{parent: parent, at: at}
}

// Timed is context.WithDeadline, for a call that does look at Done. If parent is a
// Context, its deadline counts, but it gets no timer for that. Then a later Cancel of it
// goes unnoticed, so the call must be over before.
func Timed(parent context.Context, at time.Time) (context.Context, context.CancelFunc) {
	if p, ok := parent.(*Context); ok && p.idle() {
		parent = p.parent
		if p.at.Before(at) {
			at = p.at
		}
	}
	return context.WithDeadline(parent, at)
}

// Cancel ends c, as the function does that context.WithDeadline returns.
func (c *Context) Cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// Deadline implements context.Context. It may be later than that of its parent.
func (c *Context) Deadline() (time.Time, bool) {
	if t, ok := c.parent.Deadline(); ok && t.Before(c.at) {
		return t, true
	}
	return c.at, true
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} { return c.wake().Done() }

// Err implements context.Context.
func (c *Context) Err() error {
	if c.idle() && c.parent.Err() == nil && time.Now().Before(c.at) {
		return nil
	}
	return c.wake().Err() // the same one from now on
}

// Value implements context.Context. With a timer it is the timer's Context that
// answers: by its value, contexts that are made of c find out how to hear of its end.
func (c *Context) Value(key any) any {
	if c.idle() {
		return c.parent.Value(key)
	}
	return c.wake().Value(key)
}

// idle reports whether c has neither ended by Cancel nor got a timer.
func (c *Context) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.over && c.timed == nil
}

// wake returns the Context with the timer.
func (c *Context) wake() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(c.parent, c.at)
		if c.over {
			c.cancel()
		}
	}
	return c.timed
}
