package flight

import (
	"context"
	"sync"
	"time"
)

// A loadContext is the context of a load. It becomes one of package context when Done is
// first called, since that has a timer, which would double the time of a miss. Until then
// it has a deadline, values and an error. Contexts that are derived from it call Done.
//
// The goroutine that makes it sets values and deadline before another one sees it.
type loadContext struct {
	values   context.Context // never ends
	deadline time.Time       // with a monotonic reading; zero: none

	mu     sync.Mutex
	err    error              // until ctx is set
	ctx    context.Context    // nil until Done is called
	cancel context.CancelFunc // of ctx
}

// withoutCancel returns a context with the values of w's that never ends.
func (w waiter) withoutCancel() context.Context {
	if w.done == nil && !w.deadline.set {
		return w.ctx
	}
	return context.WithoutCancel(w.ctx)
}

func (c *loadContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Value also finds ctx itself, by a key of package context. Otherwise each context that
// is derived from c by way of a context.WithValue would cost a goroutine.
func (c *loadContext) Value(key any) any {
	c.mu.Lock()
	ctx := c.ctx
	c.mu.Unlock()
	if ctx == nil {
		ctx = c.values
	}
	return ctx.Value(key)
}

func (c *loadContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		if c.deadline.IsZero() || c.err == context.Canceled {
			c.ctx, c.cancel = context.WithCancel(c.values)
		} else {
			c.ctx, c.cancel = context.WithDeadline(c.values, c.deadline)
		}
		if c.err != nil {
			c.cancel() // does nothing if the deadline has passed
		}
	}
	return c.ctx.Done()
}

// Err reads the clock itself while there is no timer.
func (c *loadContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx != nil {
		return c.ctx.Err()
	}
	if c.err == nil && !c.deadline.IsZero() && time.Until(c.deadline) <= 0 {
		c.err = context.DeadlineExceeded
	}
	return c.err
}

// end cancels c, unless it has ended.
func (c *loadContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ctx != nil:
		c.cancel()
	case c.err == nil:
		c.err = context.Canceled
	}
}
