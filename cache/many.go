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
	items, missed := c.kept.hitMany(keys, c.clock)
	if len(missed) > 0 {
		c.stats.misses.Add(int64(len(missed)))
		load := c.loadMissed
		if c.opts.LoadMany == nil {
			load = c.loadEach
		}
		if err := load(ctx, keys, items, missed); err != nil {
			return nil, err
		}
	}
	results := make([]Result[V], len(keys))
	for i := range items {
		if items[i].missing() == nil {
			results[i] = Result[V]{c.clone(items[i].value), true}
		}
	}
	return results, nil
}

// loadMissed loads what is missed with one call of LoadMany. What is out of date
// when that is done, be it because the load was joined or because a hit has grown
// old meanwhile, is loaded once more.
func (c *Cache[K, V]) loadMissed(ctx context.Context, keys []K, items []item[V], missed []int) error {
	began := c.flights.Now()
	for len(missed) > 0 {
		loaded, joined, err := c.fetchMany(ctx, keys, missed)
		if err != nil {
			return c.insteadOfMany(ctx, keys, items, missed, began, err)
		}
		for j, i := range missed {
			items[i] = loaded[j]
			if joined[j] {
				c.stats.joins.Add(1)
			}
		}
		missed = c.outOfDate(items, began)
	}
	return nil
}

// outOfDate returns the indexes of items that must not be handed out to a caller
// that began then.
func (c *Cache[K, V]) outOfDate(items []item[V], began uint64) (old []int) {
	now := c.clock.Now()
	for i := range items {
		if !items[i].answers(began, now) {
			old = append(old, i)
		}
	}
	return old
}

// loadEach loads what is missed one after the other.
func (c *Cache[K, V]) loadEach(ctx context.Context, keys []K, items []item[V], missed []int) error {
	began := c.flights.Now()
	for len(missed) > 0 {
		for _, i := range missed {
			it, err := c.fetch(ctx, keys[i], false)
			if errors.Is(err, ErrNotFound) {
				it.extra, err = &extra{missing: err}, nil
			}
			if err != nil {
				return err
			}
			items[i] = it
		}
		missed = c.outOfDate(items, began)
	}
	return nil
}

func (c *Cache[K, V]) fetchMany(ctx context.Context, keys []K, missed []int) ([]item[V], []bool, error) {
	names := make([]string, len(missed))
	for j, i := range missed {
		names[j] = c.encode(keys[i])
	}
	return c.flights.DoMany(ctx, flight.Batch[item[V]]{
		Keys:    names,
		MaxAge:  c.opts.TTL,
		Timeout: c.flightTimeout(),
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
		if it := c.kept.peek(key); it.fresh(c.clock.Now()) {
			seats[i].Set(it)
			continue
		}
		wanted, at = append(wanted, key), append(at, seats[i])
	}
	switch {
	case len(wanted) == 0:
		return nil
	case c.tier != nil:
		return c.loadBatchThroughTier(ctx, wanted, at)
	}
	_, err := c.askMany(ctx, wanted, at, at[0].Started())
	return err
}

// askMany calls LoadMany and keeps the results, whose age counts from started.
func (c *Cache[K, V]) askMany(ctx context.Context, wanted []K, at []*seat[V], started clock.Instant) ([]item[V], error) {
	c.stats.loads.Add(1)
	c.stats.gap.see(started)
	values, err := c.opts.LoadMany(ctx, slices.Clone(wanted)) // which may sort it, say
	if err != nil {
		c.stats.loadErrors.Add(1)
		return nil, err
	}
	items := make([]item[V], len(wanted))
	for i, key := range wanted {
		v, ok := values[key]
		it := newItem(at[i], v, started)
		if ok {
			it = c.keep(at[i], key, it)
		} else if it, err = c.keepMissing(at[i], key, it, ErrNotFound); err != nil {
			it.extra = &extra{missing: err} // not kept, but handed out
		}
		at[i].Set(it)
		items[i] = it
	}
	return items, nil
}

// insteadOfMany is insteadOf for the keys that were missed, and for those that have
// grown old meanwhile.
func (c *Cache[K, V]) insteadOfMany(ctx context.Context, keys []K, items []item[V], missed []int, began uint64, why error) (err error) {
	for _, i := range missed {
		items[i] = item[V]{}
	}
	for _, i := range c.outOfDate(items, began) {
		if items[i], err = c.insteadOf(ctx, keys[i], item[V]{}, why, false); err != nil {
			return err
		}
	}
	return nil
}
