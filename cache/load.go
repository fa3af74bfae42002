package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// seat is what a flight carries for one key.
type seat[V any] = flight.Seat[*item[V]]

// fetch loads key for a caller that began then, or joins a Load of it that is
// under way. Alone means that it neither joins nor takes what is kept.
func (c *Cache[K, V]) fetch(ctx context.Context, key K, began clock.Instant, alone bool) (*item[V], error) {
	call := flight.Call[*item[V]]{
		Key:     c.encode(key),
		MaxAge:  c.opts.TTL,
		Timeout: c.opts.LoadTimeout,
		Alone:   alone,
		Load: func(ctx context.Context, s *seat[V]) (*item[V], error) {
			if !alone {
				if it, ok := c.peek(key); ok { // landed since the caller's miss
					return it, nil
				}
			}
			return c.loadOne(ctx, s, key)
		},
	}
	for {
		it, joined, err := c.flights.Do(ctx, call)
		if joined {
			c.stats.joins.Add(1)
		}
		if err != nil {
			return c.insteadOf(ctx, key, it, err, alone)
		}
		if !joined || it.answers(began, c.clock.Now()) {
			return it, nil
		}
	}
}

// loadOne calls Load and keeps the result.
func (c *Cache[K, V]) loadOne(ctx context.Context, s *seat[V], key K) (*item[V], error) {
	c.stats.loads.Add(1)
	c.stats.gap.see(s.Started())
	v, err := c.opts.Load(ctx, key)
	it := &item[V]{value: v, loaded: s.Started()}
	if errors.Is(err, ErrNotFound) {
		return c.keepMissing(s, key, it, err)
	}
	if err != nil {
		c.stats.loadErrors.Add(1)
		return it, err
	}
	c.keep(s, key, it)
	return it, nil
}

// keep makes it the item of key, if it is to be kept at all.
func (c *Cache[K, V]) keep(s *seat[V], key K, it *item[V]) {
	it.ttl = c.ttl(key, it.value)
	if c.opts.Size != nil {
		it.size = max(0, c.opts.Size(key, it.value))
	}
	if it.ttl <= 0 {
		c.kept.remove(key, s.Dropped) // what is kept is older still
		return
	}
	c.kept.put(key, it, s.Dropped)
}

// keepMissing remembers that key does not exist, or at least forgets what it was.
func (c *Cache[K, V]) keepMissing(s *seat[V], key K, it *item[V], err error) (*item[V], error) {
	if c.opts.MissingTTL == 0 {
		c.kept.remove(key, s.Dropped)
		it.ttl = c.opts.TTL // for those who wait for it now
		return it, err
	}
	var zero V
	it.value, it.missing, it.ttl = zero, err, c.jitter(c.opts.MissingTTL)
	c.kept.put(key, it, s.Dropped)
	return it, nil // handed out as the error that it is
}

// ttl is how long a value may be handed out.
func (c *Cache[K, V]) ttl(key K, v V) time.Duration {
	ttl := c.opts.TTL
	if c.opts.TTLOf != nil {
		ttl = min(ttl, c.opts.TTLOf(key, v))
	}
	return c.jitter(ttl)
}

func (c *Cache[K, V]) jitter(ttl time.Duration) time.Duration {
	if c.opts.Jitter == 0 || ttl <= 0 || ttl == Forever {
		return ttl
	}
	return max(1, ttl-time.Duration(c.opts.Jitter*rand.Float64()*float64(ttl)))
}

// insteadOf returns what a caller gets in the place of err: the value that was
// kept, if that may stand in, else err.
func (c *Cache[K, V]) insteadOf(ctx context.Context, key K, it *item[V], err error, alone bool) (*item[V], error) {
	if err == flight.ErrTimeout {
		err = fmt.Errorf("cache: Load: no answer within LoadTimeout (%v): %w", c.opts.LoadTimeout, context.DeadlineExceeded)
	}
	if alone || c.clock.Err(ctx) != nil || errors.Is(err, ErrNotFound) || errors.Is(err, flight.ErrOwnKey) {
		return it, err
	}
	if old, ok := c.stale(key, c.clock.Now()); ok {
		c.stats.stale.Add(1)
		return old, nil
	}
	return it, err
}

// stale returns what is kept for key if it may stand in for a failed Load.
func (c *Cache[K, V]) stale(key K, now clock.Instant) (*item[V], bool) {
	if c.opts.StaleIfError == 0 {
		return nil, false
	}
	it := c.kept.peek(key)
	if it == nil || it.missing != nil {
		return nil, false
	}
	until := it.ttl + c.opts.StaleIfError
	if until < 0 { // beyond what can be counted
		until = Forever
	}
	return it, it.loaded.Within(until, now)
}
