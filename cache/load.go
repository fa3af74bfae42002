package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// seat is what a flight carries for one key.
type seat[V any] = flight.Seat[item[V]]

// fetch loads key, or joins a Load of it that is under way. Alone means that it
// neither joins nor takes what is kept.
func (c *Cache[K, V]) fetch(ctx context.Context, key K, alone bool) (item[V], error) {
	call := flight.Call[item[V]]{
		Key:     c.encode(key),
		MaxAge:  c.opts.TTL,
		Timeout: c.flightTimeout(),
		Alone:   alone,
		Load: func(ctx context.Context, s *seat[V]) (item[V], error) {
			if !alone {
				if it := c.kept.peek(key); !it.none() && it.fresh(c.clock.Now()) { // landed since the caller's miss
					return it, nil
				}
			}
			if c.tier != nil {
				return c.loadThroughTier(ctx, s, key, alone)
			}
			return c.loadOne(ctx, s, key, s.Started())
		},
	}
	began, hasJoined := c.flights.Now(), false
	for {
		it, joined, err := c.flights.Do(ctx, call)
		if joined && !hasJoined {
			hasJoined = true
			c.stats.joins.Add(1)
		}
		switch {
		case (joined || it.fromTier()) && !it.none() && !it.answers(began, c.clock.Now()):
			// Once more: what it joins now has begun since.
		case err != nil:
			return c.insteadOf(ctx, key, it, err, alone)
		default:
			return it, nil
		}
	}
}

// loadOne calls Load and keeps the result, whose age counts from started.
func (c *Cache[K, V]) loadOne(ctx context.Context, s *seat[V], key K, started clock.Instant) (item[V], error) {
	c.stats.loads.Add(1)
	c.stats.gap.see(started)
	v, err := c.opts.Load(ctx, key)
	it := newItem(s, v, started)
	switch {
	case err == nil:
		return c.keep(s, key, it), nil
	case errors.Is(err, ErrNotFound):
		return c.keepMissing(s, key, it, err)
	}
	c.stats.loadErrors.Add(1)
	return item[V]{value: v}, err
}

// newItem returns an item that s's flight has loaded.
func newItem[V any](s *seat[V], v V, started clock.Instant) item[V] {
	return item[V]{value: v, loaded: started, flight: uint32(s.Number())}
}

// keep makes it the item of key, if it is to be kept at all.
func (c *Cache[K, V]) keep(s *seat[V], key K, it item[V]) item[V] {
	it.ttl = c.ttl(key, it.value)
	if c.opts.Size != nil {
		it.extra = &extra{size: c.size(key, it.value)}
	}
	c.kept.put(key, it, it.ttl > 0, s.Dropped)
	return it
}

// keepMissing remembers that key does not exist, or at least forgets what it was.
func (c *Cache[K, V]) keepMissing(s *seat[V], key K, it item[V], err error) (item[V], error) {
	if c.opts.MissingTTL == 0 {
		c.kept.put(key, it, false, s.Dropped)
		return it, err
	}
	var zero V
	it.value, it.ttl, it.extra = zero, c.jitter(c.opts.MissingTTL), &extra{missing: err}
	c.kept.put(key, it, true, s.Dropped)
	return it, nil // handed out as the error that it is
}

// ttl is how long this Cache hands a value out that it has loaded.
func (c *Cache[K, V]) ttl(key K, v V) time.Duration { return c.jitter(c.ttlOf(key, v)) }

// ttlOf is how long a value may be handed out.
func (c *Cache[K, V]) ttlOf(key K, v V) time.Duration {
	if c.opts.TTLOf == nil {
		return c.opts.TTL
	}
	return min(c.opts.TTL, c.opts.TTLOf(key, v))
}

func (c *Cache[K, V]) size(key K, v V) int64 {
	if c.opts.Size == nil {
		return 0
	}
	return max(0, c.opts.Size(key, v))
}

func (c *Cache[K, V]) jitter(ttl time.Duration) time.Duration {
	if c.opts.Jitter == 0 || ttl <= 0 || ttl == Forever {
		return ttl
	}
	return max(1, ttl-time.Duration(c.opts.Jitter*c.clock.Float64()*float64(ttl)))
}

// insteadOf returns what a caller gets in the place of err: the value that was
// kept, if that may stand in, else err.
func (c *Cache[K, V]) insteadOf(ctx context.Context, key K, it item[V], err error, alone bool) (item[V], error) {
	if err == flight.ErrTimeout {
		err = fmt.Errorf("cache: Load: no answer within LoadTimeout (%v): %w", c.opts.LoadTimeout, context.DeadlineExceeded)
	}
	if c.tier != nil && !alone {
		if kept := c.kept.peek(key); kept.fresh(c.clock.Now()) && kept.missing() == nil {
			return kept, nil // it has landed, but for what the Tier is given
		}
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
func (c *Cache[K, V]) stale(key K, now clock.Instant) (item[V], bool) {
	if c.opts.StaleIfError == 0 {
		return item[V]{}, false
	}
	it := c.kept.peek(key)
	if it.none() || it.missing() != nil {
		return it, false
	}
	until := it.ttl + c.opts.StaleIfError
	if until < 0 { // beyond what can be counted
		until = Forever
	}
	return it, it.loaded.Within(until, now)
}
