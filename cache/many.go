package cache

import (
	"context"
	"errors"
	"slices"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// Result is what GetMany has for a key.
type Result[V any] struct {
	Value V
	Found bool // whether the key exists; if not, Value is zero
}

// GetMany returns the values of keys, in their order, with one call of LoadMany
// for all that are not kept and that no Load is under way for. Gets and GetManys
// of these keys meanwhile wait for that call.
//
// A key that does not exist is not an error. If a Load fails, the error is
// returned, unless values that may stand in are kept for all keys that it was to
// load; see Options.StaleIfError. A TTL counts from the start of LoadMany.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K) ([]Result[V], error) {
	if len(keys) == 0 {
		return nil, nil
	}
	results := make([]Result[V], len(keys))
	now := c.clock.Now() // once for all
	missed := c.hits(keys, results, now)
	if len(missed) == 0 {
		return results, nil
	}
	c.stats.misses.Add(int64(len(missed)))
	if c.opts.LoadMany == nil {
		return c.getEach(ctx, keys, missed, results, now)
	}
	return c.loadMissed(ctx, keys, missed, results, now)
}

// hits fills in what is kept and fresh, and returns the indexes of the rest.
func (c *Cache[K, V]) hits(keys []K, results []Result[V], now clock.Instant) (missed []int) {
	hits := 0
	for i, it := range c.kept.peekMany(keys) {
		if it == nil || !it.fresh(now) {
			missed = append(missed, i)
			continue
		}
		hits++
		c.kept.use(keys[i], it)
		results[i] = c.result(it)
	}
	c.stats.hits.Add(int64(hits))
	return missed
}

func (c *Cache[K, V]) result(it *item[V]) Result[V] {
	if it.missing != nil {
		return Result[V]{}
	}
	return Result[V]{c.clone(it.value), true}
}

// getEach loads what is missed one after the other.
func (c *Cache[K, V]) getEach(ctx context.Context, keys []K, missed []int, results []Result[V], began clock.Instant) ([]Result[V], error) {
	for _, i := range missed {
		v, err := c.handOutOr(c.fetch(ctx, keys[i], began, false))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		if err == nil {
			results[i] = Result[V]{v, true}
		}
	}
	return results, nil
}

// loadMissed loads what is missed with one call of LoadMany. What it joined and
// is too old by the time it comes is loaded once more.
func (c *Cache[K, V]) loadMissed(ctx context.Context, keys []K, missed []int, results []Result[V], began clock.Instant) ([]Result[V], error) {
	for len(missed) > 0 {
		items, joined, err := c.fetchMany(ctx, keys, missed)
		if err != nil {
			return c.insteadOfMany(ctx, keys, missed, results, err)
		}
		now := c.clock.Now()
		var old []int
		for j, it := range items {
			if joined[j] {
				c.stats.joins.Add(1)
			}
			if joined[j] && !it.answers(began, now) {
				old = append(old, missed[j])
				continue
			}
			results[missed[j]] = c.result(it)
		}
		missed = old
	}
	return results, nil
}

func (c *Cache[K, V]) fetchMany(ctx context.Context, keys []K, missed []int) ([]*item[V], []bool, error) {
	names := make([]string, len(missed))
	for j, i := range missed {
		names[j] = c.encode(keys[i])
	}
	return c.flights.DoMany(ctx, flight.Batch[*item[V]]{
		Keys:    names,
		MaxAge:  c.opts.TTL,
		Timeout: c.opts.LoadTimeout,
		Load: func(ctx context.Context, indexes []int, seats []*seat[V]) error {
			wanted := make([]K, len(indexes))
			for n, j := range indexes {
				wanted[n] = keys[missed[j]]
			}
			return c.loadBatch(ctx, wanted, seats)
		},
	})
}

// loadBatch calls LoadMany for the keys that have not landed since the callers'
// misses, and keeps the results.
func (c *Cache[K, V]) loadBatch(ctx context.Context, keys []K, seats []*seat[V]) error {
	var wanted []K
	var at []*seat[V]
	for i, key := range keys {
		if it, ok := c.peek(key); ok {
			seats[i].Set(it)
			continue
		}
		wanted, at = append(wanted, key), append(at, seats[i])
	}
	if len(wanted) == 0 {
		return nil
	}
	c.stats.loads.Add(1)
	c.stats.gap.see(at[0].Started())
	values, err := c.opts.LoadMany(ctx, slices.Clone(wanted)) // which may sort it, say
	if err != nil {
		c.stats.loadErrors.Add(1)
		return err
	}
	for i, key := range wanted {
		it := &item[V]{loaded: at[i].Started()}
		if v, ok := values[key]; ok {
			it.value = v
			c.keep(at[i], key, it)
		} else if it, err = c.keepMissing(at[i], key, it, ErrNotFound); err != nil {
			it.missing = err // not kept, but handed out
		}
		at[i].Set(it)
	}
	return nil
}

// insteadOfMany is insteadOf for the keys that were missed.
func (c *Cache[K, V]) insteadOfMany(ctx context.Context, keys []K, missed []int, results []Result[V], err error) ([]Result[V], error) {
	for _, i := range missed {
		it, err := c.insteadOf(ctx, keys[i], nil, err, false)
		if err != nil {
			return nil, err
		}
		results[i] = c.result(it)
	}
	return results, nil
}
