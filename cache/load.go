package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// call is the part of a flight that is about one key.
type call[V any] = flight.Call[item[V]]

// loadID identifies the load of a value.
type loadID struct {
	local  uint32 // its ID here; zero: none
	record uint64 // names the load in the Tier; zero: not there
}

// want is the part of values within TTL that a caller accepts.
type want struct {
	maxAge  time.Duration // Forever: TTL alone counts
	after   loadID        // accepts values of later loads only; the zero loadID: all
	refresh bool          // accepts no value that was loaded before the call

	deleted uint32 // of a flight that refreshes: an ID from before it deleted the Tier's record
}

// anyFresh accepts all values within TTL.
var anyFresh = want{maxAge: Forever}

// accepts reports whether a caller accepts a value that is within TTL.
func accepts[V any](w want, it *item[V], now clock.Instant) bool {
	if w.refresh {
		return it.fromTier() // satisfies tells when older records were deleted
	}
	return (w.maxAge == Forever || it.loaded.Within(w.maxAge, now)) && (w.after.local == 0 || it.isAfter(w.after))
}

// satisfies reports whether it may be handed out to a caller that began when began was
// the last flight. The caller accepts it, or it was loaded since. A load that was
// joined began before the caller did; if it took longer than its TTL, the value may be
// too old by now. A load that begins while the caller waits is fresh, however long it
// takes. Clocks alone could not tell: they may run back.
//
// An item of the Tier must be within its full TTL. MemoryTTL does not count if the Tier
// was read after the caller began: with a Tier that is slower than MemoryTTL, the
// caller would read it forever. For a Refresh, the record must have been stored after a
// delete that began later than the caller: a flight that it joined may not have deleted
// any.
func satisfies[V any](w want, it *item[V], began uint64, now clock.Instant) bool {
	isLater := func(id uint32) bool { return int32(id-uint32(began)) > 0 }
	switch {
	case !it.fromTier():
		return isLater(it.load) || it.fresh(now) && accepts(w, it, now)
	case w.refresh && (it.extra.deleted == 0 || !isLater(it.extra.deleted)):
		return false
	case isLater(it.extra.read):
		return it.loaded.Within(it.fullTTL(), now) && accepts(w, it, now)
	}
	return it.fresh(now) && accepts(w, it, now)
}

// terms returns those of the flights that a caller joins or starts.
func (c *Cache[K, V]) terms(w want) flight.Terms {
	t := flight.Terms{
		MaxAge:        min(c.opts.TTL, w.maxAge),
		UndatedMaxAge: undatedMaxAge,
		After:         w.after.local,
		Timeout:       c.flightTimeout(),
		Inline:        c.inline,
	}
	if w.refresh {
		t.MaxAge = 0
	}
	t.Queue = w.refresh || w.maxAge < c.opts.TTL
	return t
}

// undatedMaxAge is the age from which a Load is not joined if only callers without a
// deadline wait for it. An earlier invocation may have left it behind, with a
// connection that has died since.
const undatedMaxAge = time.Second

// fetch loads key, or joins a Load of it that is in flight.
func (c *Cache[K, V]) fetch(ctx context.Context, key K, w want) (item[V], Source, error) {
	r := flight.Request[item[V]]{
		Key:   c.encode(key),
		Terms: c.terms(w),
		Load: func(ctx context.Context, s *call[V]) (item[V], error) {
			if it := c.kept.peek(key); !w.refresh && !it.none() { // kept since the caller's miss?
				if now := c.clock.Now(); it.fresh(now) && accepts(w, &it, now) {
					return it, nil
				}
			}
			if c.tier != nil {
				return c.loadThroughTier(ctx, s, key, w)
			}
			return c.loadOne(ctx, s, key, s.Started(), w)
		},
	}
	caller, halved := ctx, false
	if c.opts.StaleIfError > 0 {
		old, now := c.stale(key, w)
		switch {
		case old.none():
		case c.failedRecently(&old, now):
			c.stats.stale.Add(1)
			return old, Stale, nil
		default:
			var cancel context.CancelFunc
			ctx, cancel, halved = halfOf(ctx)
			defer cancel()
		}
	}
	began, hasJoined := c.flights.LastID(), false
	for {
		start := c.clock.Now()
		it, joined, err := c.flights.Do(ctx, r)
		if joined && !hasJoined {
			hasJoined = true
			c.stats.joins.Add(1)
		}
		switch {
		case (joined || it.fromTier()) && !it.none() && !satisfies(w, &it, began, c.clock.Now()):
			// Repeat: the next load that it joins has begun since.
		case err == nil:
			return it, sourceOf(&it, joined, began), nil
		default:
			halved = halved && c.clock.Err(ctx) != nil
			it, source, err := c.serveStale(caller, key, w, failure[V]{it, err, start, halved})
			if err != errTryOn {
				return it, source, err
			}
			ctx, halved = caller, false
		}
	}
}

// sourceOf returns the Source of an item, for a caller that began when began was the
// last flight.
func sourceOf[V any](it *item[V], joined bool, began uint64) Source {
	switch {
	case joined:
		return Joined
	case int32(it.load-uint32(began)) <= 0:
		return Hit
	case it.fromTier():
		return TierHit
	}
	return Loaded
}

// loadOne calls Load or Reload and keeps the result, whose age counts from started.
func (c *Cache[K, V]) loadOne(ctx context.Context, s *call[V], key K, started clock.Instant, w want) (item[V], error) {
	c.stats.loads.Add(1)
	c.stats.gap.see(started)
	it := c.newItem(c.flights.NextID(), started, w)
	var err error
	it.value, err = c.callLoad(ctx, key)
	switch {
	case err == nil:
		return c.keep(s, key, it), nil
	case errors.Is(err, ErrNotFound):
		return c.keepMissing(s, key, it, err)
	}
	c.loadFailed(ctx, s, key)
	return item[V]{value: it.value}, err
}

// callLoad calls Reload if there is an old value, else Load.
func (c *Cache[K, V]) callLoad(ctx context.Context, key K) (V, error) {
	if c.opts.Reload != nil {
		if old := c.kept.peek(key); !old.none() && old.missing() == nil {
			v, err := c.opts.Reload(ctx, key, c.clone(old.value))
			if errors.Is(err, ErrUnchanged) {
				return old.value, nil
			}
			return v, err
		}
	}
	return c.opts.Load(ctx, key)
}

// newItem returns an item for the value of the load with that ID. The load's ID is not
// the flight's: of two flights, the one that began later may have been the first to
// load.
func (c *Cache[K, V]) newItem(id uint64, started clock.Instant, w want) item[V] {
	it := item[V]{loaded: started, load: uint32(id)}
	if c.tier != nil {
		it.extra = &extra{record: c.clock.Uint64(), after: w.after.record}
	}
	return it
}

// keep stores it as the item of key, if its TTL is positive.
func (c *Cache[K, V]) keep(s *call[V], key K, it item[V]) item[V] {
	c.loadSucceeded()
	c.fit(&it, key)
	c.kept.put(key, it, it.ttl > 0, s.Claim)
	return it
}

// fit sets the TTL and the size of an item that has been loaded here.
func (c *Cache[K, V]) fit(it *item[V], key K) {
	it.setTTL(c.ttl(key, it.value), c.opts.MemoryTTL)
	if c.opts.Size != nil {
		it.more().size = c.size(key, it.value)
	}
}

// keepMissing stores the known miss of key if MissingTTL allows it, and removes its
// value otherwise.
func (c *Cache[K, V]) keepMissing(s *call[V], key K, it item[V], err error) (item[V], error) {
	c.loadSucceeded()
	if c.opts.MissingTTL == 0 {
		c.kept.put(key, it, false, s.Claim)
		return it, err
	}
	var zero V
	it.value, it.more().missing = zero, err
	it.setTTL(c.jitter(c.opts.MissingTTL), c.opts.MemoryTTL)
	c.kept.put(key, it, true, s.Claim)
	return it, nil // handOut makes it an error again
}

// ttl returns how long this Cache serves a value that it has loaded.
func (c *Cache[K, V]) ttl(key K, v V) time.Duration { return c.jitter(c.ttlOf(key, v)) }

// ttlOf returns how long a value may be served.
func (c *Cache[K, V]) ttlOf(key K, v V) time.Duration {
	if c.opts.TTLOf == nil {
		return c.opts.TTL
	}
	return max(0, min(c.opts.TTL, c.opts.TTLOf(key, v)))
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

// timeoutError explains flight.ErrTimeout to the caller.
func (c *Cache[K, V]) timeoutError() error {
	return fmt.Errorf("cache: Load did not return within LoadTimeout (%v): %w", c.opts.LoadTimeout, context.DeadlineExceeded)
}
