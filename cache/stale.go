package cache

import (
	"context"
	"errors"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// errTryOn means that no stale value is left, and the caller has time to wait on.
var errTryOn = errors.New("cache: wait on")

// stale returns the item of key if it may be served should Load fail, and the time.
func (c *Cache[K, V]) stale(key K, w want) (it item[V], now clock.Instant) {
	if c.opts.StaleIfError == 0 || w.refresh {
		return it, c.clock.Now()
	}
	old := c.kept.peek(key)
	now = c.clock.Now()
	if old.none() || old.missing() != nil || !c.mayServeStale(&old, now) || !accepts(w, &old, now) {
		return it, now
	}
	return old, now
}

// mayServeStale reports whether an item is young enough to be served should Load fail.
func (c *Cache[K, V]) mayServeStale(it *item[V], now clock.Instant) bool {
	return it.loaded.Within(plus(it.fullTTL(), c.opts.StaleIfError), now)
}

// halfOf returns a context that ends after half of the time that ctx has left, for a
// caller that has a stale value: an origin that hangs must not use up all its time.
func halfOf(ctx context.Context) (half context.Context, cancel context.CancelFunc, ok bool) {
	t, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}, false
	}
	half, cancel = context.WithTimeout(ctx, time.Until(t)/2)
	return half, cancel, true
}

// failedRecently reports whether a stale item is served without another load: a load of
// its key has failed, or one of any key has hung, less than RetryAfter ago.
func (c *Cache[K, V]) failedRecently(it *item[V], now clock.Instant) bool {
	hung := c.hung.Load()
	return hung != nil && hung.Within(c.opts.RetryAfter, now) ||
		it.extra != nil && it.extra.hasFailed && it.extra.failed.Within(c.opts.RetryAfter, now)
}

// loadFailed notes that a load of key has failed, unless it was canceled because its
// last caller had left.
func (c *Cache[K, V]) loadFailed(ctx context.Context, s *call[V], key K) {
	c.stats.loadErrors.Add(1)
	c.markFailed(ctx, s, key)
}

// markFailed is loadFailed without the count.
func (c *Cache[K, V]) markFailed(ctx context.Context, s *call[V], key K) {
	if c.opts.StaleIfError > 0 && ctx.Err() == nil {
		c.kept.markFailed(key, uint32(s.ID()), c.clock.Now())
	}
}

// loadSucceeded notes that the origin answers.
func (c *Cache[K, V]) loadSucceeded() {
	if c.hung.Load() != nil {
		c.hung.Store(nil)
	}
}

// failure is the result of a failed load for one caller.
type failure[V any] struct {
	it     item[V]
	err    error
	start  clock.Instant // when it began to wait
	halved bool          // its half of the time, from halfOf, is over
}

// serveStale returns the answer for a caller whose load has failed: the stale value, if
// it may be served, else the error.
func (c *Cache[K, V]) serveStale(ctx context.Context, key K, w want, f failure[V]) (item[V], Source, error) {
	hung := f.err == flight.ErrTimeout
	if hung {
		f.err = c.timeoutError()
	}
	if c.tier != nil && !w.refresh {
		now := c.clock.Now()
		if kept := c.kept.peek(key); !kept.none() && kept.missing() == nil && kept.fresh(now) && accepts(w, &kept, now) {
			return kept, Loaded, nil // loaded; the Tier has used up the time
		}
	}
	if c.clock.Err(ctx) != nil || w.refresh || errors.Is(f.err, ErrNotFound) || errors.Is(f.err, flight.ErrOwnKey) {
		return f.it, Loaded, f.err
	}
	old, now := c.stale(key, w)
	if hung || f.halved {
		c.loadHung(&old, key, f, now)
	}
	switch {
	case !old.none():
		c.stats.stale.Add(1)
		return old, Stale, nil
	case f.halved:
		return f.it, Loaded, errTryOn
	}
	return f.it, Loaded, f.err
}

// loadHung notes that a load of key, whose stale item is old, did not return in time. A
// caller that gave up early is a sign of a hanging origin only after RetryAfter.
func (c *Cache[K, V]) loadHung(old *item[V], key K, f failure[V], now clock.Instant) {
	if c.opts.StaleIfError == 0 {
		return
	}
	if !old.none() {
		c.kept.markFailed(key, old.load+1, now)
	}
	if !f.halved || !f.start.Within(c.opts.RetryAfter, now) {
		c.hung.Store(&now)
	}
}

// times multiplies a duration that may be zero, for none.
func times(d time.Duration, n int) time.Duration {
	if d > Forever/time.Duration(n) {
		return Forever
	}
	return d * time.Duration(n)
}
