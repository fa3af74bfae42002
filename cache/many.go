package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// Result is the result of [Cache.GetMany] for one key.
type Result[V any] struct {
	Value V
	Found bool  // whether the key exists and was loaded; if not, Value is zero
	Err   error // why the value is unknown; nil if the key does not exist
}

// GetMany returns the values of keys, in their order. It calls [Options.LoadMany] for
// all keys that are not in memory and not being loaded. Gets and GetManys of these keys
// wait for that call meanwhile.
//
// A key that does not exist is not an error. If keys fail, GetMany returns all results
// together with the first error; [Result.Err] tells which keys failed. A failed key may
// have a stale value instead: see [Options.StaleIfError]. A TTL counts from the start
// of LoadMany.
func (c *Cache[K, V]) GetMany(ctx context.Context, keys []K) ([]Result[V], error) {
	items, missed := c.kept.hitMany(keys, c.clock)
	return c.getMany(ctx, keys, items, missed, anyFresh)
}

// RefreshMany is [Cache.Refresh] for many keys, with the results of [Cache.GetMany].
func (c *Cache[K, V]) RefreshMany(ctx context.Context, keys []K) ([]Result[V], error) {
	all := make([]int, len(keys))
	for i := range all {
		all[i] = i
	}
	c.kept.epoch.Add(1)
	return c.getMany(ctx, keys, make([]item[V], len(keys)), all, want{refresh: true})
}

func (c *Cache[K, V]) getMany(ctx context.Context, keys []K, items []item[V], missed []int, w want) ([]Result[V], error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var errs []error
	if len(missed) > 0 {
		if !w.refresh {
			c.stats.misses.Add(int64(len(missed)))
		}
		m := many[K, V]{cache: c, keys: keys, want: w, items: items, errs: make([]error, len(keys)), stale: make([]bool, len(keys))}
		m.load(ctx, missed)
		errs = m.errs
	}
	results := make([]Result[V], len(keys))
	var first error
	for i := range items {
		switch {
		case errs != nil && errs[i] != nil:
			results[i].Err = errs[i]
			first = cmp.Or(first, errs[i])
		case items[i].missing() == nil:
			results[i] = Result[V]{Value: c.clone(items[i].value), Found: true}
		}
	}
	return results, first
}

// many is a GetMany that loads.
type many[K comparable, V any] struct {
	cache *Cache[K, V]
	keys  []K
	want  want
	items []item[V]
	errs  []error
	stale []bool // the item is past its TTL, but still the result
}

// load loads the missed keys. It loads values once more that are out of date
// afterwards, because a load was joined or a hit has grown old meanwhile.
func (m *many[K, V]) load(caller context.Context, missed []int) {
	c := m.cache
	missed, allStale := m.outage(missed)
	ctx, halved := caller, false
	if allStale {
		var cancel context.CancelFunc
		ctx, cancel, halved = halfOf(caller)
		defer cancel()
	}
	began := c.flights.LastID()
	for len(missed) > 0 {
		start := c.clock.Now()
		if c.opts.LoadMany == nil {
			m.loadEach(caller, missed)
		} else {
			m.loadTogether(ctx, missed)
			over := halved && c.clock.Err(ctx) != nil
			m.serveStale(caller, missed, start, over)
			if over {
				ctx, halved = caller, false
			}
		}
		missed = m.outOfDate(began)
	}
}

// outage serves the stale values of keys that have failed recently, and returns the
// other keys. It reports whether each of these has a stale value.
func (m *many[K, V]) outage(missed []int) (left []int, allStale bool) {
	c := m.cache
	if c.opts.StaleIfError == 0 || c.opts.LoadMany == nil {
		return missed, false
	}
	allStale = true
	for _, i := range missed {
		old, now := c.stale(m.keys[i], m.want)
		if !old.none() && c.failedRecently(&old, now) {
			m.set(i, old, Stale, nil)
			c.stats.stale.Add(1)
			continue
		}
		allStale = allStale && !old.none()
		left = append(left, i)
	}
	return left, allStale
}

// set sets the result of a key.
func (m *many[K, V]) set(i int, it item[V], source Source, err error) {
	m.items[i], m.errs[i], m.stale[i] = it, err, source == Stale
}

// outOfDate returns the indexes of the keys to load again, for a caller that began when
// began was the last flight.
func (m *many[K, V]) outOfDate(began uint64) (old []int) {
	now := m.cache.clock.Now()
	for i := range m.items {
		it := &m.items[i]
		var good bool
		switch {
		case m.errs[i] != nil:
			good = m.errs[i] != errTryOn
		case m.stale[i]:
			good = m.cache.mayServeStale(it, now)
		default:
			good = satisfies(m.want, it, began, now)
		}
		if !good {
			old = append(old, i)
		}
	}
	return old
}

// loadEach loads keys one after the other. Once one has timed out, it does not try the
// others.
func (m *many[K, V]) loadEach(ctx context.Context, keys []int) {
	var late error
	for _, i := range keys {
		if late != nil {
			m.fail(ctx, i, late)
			continue
		}
		it, source, err := m.cache.fetch(ctx, m.keys[i], m.want)
		if errors.Is(err, ErrNotFound) {
			it, err = notFound(it, err), nil
		}
		m.set(i, it, source, err)
		if err != nil && (errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil) {
			late = err
		}
	}
}

// fail sets the error of a key, or its stale value.
func (m *many[K, V]) fail(ctx context.Context, i int, err error) {
	it, source, err := m.cache.serveStale(ctx, m.keys[i], m.want, failure[V]{err: err})
	m.set(i, it, source, err)
}

// notFound returns an item that is not kept, of a key that does not exist.
func notFound[V any](it item[V], err error) item[V] {
	e := extra{missing: err}
	if it.extra != nil {
		e = *it.extra
		e.missing = err
	}
	it.extra = &e
	return it
}

// loadTogether loads keys with one flight.
func (m *many[K, V]) loadTogether(ctx context.Context, keys []int) {
	c := m.cache
	names := make([]string, len(keys))
	for j, i := range keys {
		names[j] = c.encode(m.keys[i])
	}
	terms := c.terms(m.want)
	terms.Timeout = times(terms.Timeout, c.batches(len(keys)))
	outcomes := c.flights.DoMany(ctx, flight.Batch[item[V]]{
		Keys:  names,
		Terms: terms,
		Load: func(ctx context.Context, indexes []int, calls []*call[V]) error {
			wanted := make([]K, len(indexes))
			for n, j := range indexes {
				wanted[n] = m.keys[keys[j]]
			}
			c.loadBatch(ctx, wanted, calls, m.want)
			return nil
		},
	})
	for j, i := range keys {
		o := &outcomes[j]
		if o.Joined {
			c.stats.joins.Add(1)
		}
		if errors.Is(o.Err, ErrNotFound) {
			o.Value, o.Err = notFound(o.Value, o.Err), nil
		}
		m.set(i, o.Value, Loaded, o.Err)
	}
}

// serveStale is Cache.serveStale for keys that have failed.
func (m *many[K, V]) serveStale(ctx context.Context, keys []int, start clock.Instant, halved bool) {
	for _, i := range keys {
		if m.errs[i] != nil {
			it, source, err := m.cache.serveStale(ctx, m.keys[i], m.want, failure[V]{m.items[i], m.errs[i], start, halved})
			m.set(i, it, source, err)
		}
	}
}

// batches returns how many calls of LoadMany n keys take.
func (c *Cache[K, V]) batches(n int) int {
	if c.opts.MaxBatch == 0 {
		return 1
	}
	return (n + c.opts.MaxBatch - 1) / c.opts.MaxBatch
}

// loadBatch loads the keys that have not been loaded since the callers' misses.
func (c *Cache[K, V]) loadBatch(ctx context.Context, keys []K, calls []*call[V], w want) {
	var wanted []K
	var at []*call[V]
	for i, key := range keys {
		if it := c.kept.peek(key); !w.refresh && !it.none() {
			if now := c.clock.Now(); it.fresh(now) && accepts(w, &it, now) {
				calls[i].Set(it)
				continue
			}
		}
		wanted, at = append(wanted, key), append(at, calls[i])
	}
	switch {
	case len(wanted) == 0:
	case c.tier != nil:
		c.loadBatchThroughTier(ctx, wanted, at, w)
	default:
		c.loadAll(ctx, wanted, at, at[0].Started(), w)
	}
}

// loadAll calls LoadMany for batches of keys, and keeps the results, whose age counts
// from started for the first batch. The items of keys that failed are zero.
func (c *Cache[K, V]) loadAll(ctx context.Context, keys []K, calls []*call[V], started clock.Instant, w want) []item[V] {
	items := make([]item[V], 0, len(keys))
	for batch := range slices.Chunk(keys, cmp.Or(c.opts.MaxBatch, len(keys))) {
		from := len(items)
		at := calls[from : from+len(batch)]
		var err error
		load := func(ctx context.Context) error {
			var loaded []item[V]
			loaded, err = c.loadBatchOnce(ctx, batch, at, started, w)
			items = append(items, loaded...)
			return err
		}
		if c.tier == nil && len(batch) == len(keys) {
			load(ctx) // within the time of the flight
		} else {
			err = c.timed(ctx, load)
		}
		if err == flight.ErrTimeout || ctx.Err() != nil { // no time for another batch
			items = append(items, make([]item[V], len(keys)-len(items))...)
			for i := from; i < len(items); i++ {
				if items[i].none() {
					calls[i].Fail(cmp.Or(err, ctx.Err()))
				}
			}
			break
		}
		started = c.clock.Now()
	}
	return items
}

// loadBatchOnce calls LoadMany. It returns the items of keys, and the error of LoadMany.
func (c *Cache[K, V]) loadBatchOnce(ctx context.Context, keys []K, calls []*call[V], started clock.Instant, w want) ([]item[V], error) {
	c.stats.loads.Add(1)
	c.stats.gap.see(started)
	epoch, id := c.kept.epoch.Load(), c.flights.NextID()
	values, err := c.opts.LoadMany(ctx, slices.Clone(keys)) // a clone, since LoadMany may sort it
	var failed KeyErrors[K]
	if err != nil && errors.As(err, &failed) {
		err = nil
	}
	hasFailed := false
	c.keepOthers(values, keys, c.newItem(id, started, anyFresh), epoch)
	items := make([]item[V], len(keys))
	for i, key := range keys {
		v, ok := values[key]
		why := cmp.Or(failed[key], err)
		it := c.newItem(id, started, w)
		it.value = v
		switch {
		case ok:
			items[i] = c.keep(calls[i], key, it)
			calls[i].Set(items[i])
		case why == nil || errors.Is(why, ErrNotFound):
			why = cmp.Or(why, ErrNotFound)
			if items[i], why = c.keepMissing(calls[i], key, it, why); why != nil {
				items[i] = notFound(items[i], why) // not kept, but the result
			}
			calls[i].Set(items[i])
		default:
			hasFailed = true
			c.markFailed(ctx, calls[i], key)
			calls[i].Fail(why)
		}
	}
	if hasFailed {
		c.stats.loadErrors.Add(1)
	}
	return items, err
}

// keepOthers stores the values of keys that LoadMany was not called with. It does not
// evict more entries for them than it stores: the callers' keys follow.
func (c *Cache[K, V]) keepOthers(values map[K]V, keys []K, it item[V], epoch uint64) {
	if len(values) == 0 {
		return
	}
	found := 0
	for _, key := range keys {
		if _, ok := values[key]; ok {
			found++
		}
	}
	if found == len(values) {
		return
	}
	called := make(map[K]bool, len(keys))
	for _, key := range keys {
		called[key] = true
	}
	for key, v := range values {
		if !called[key] {
			other := it
			other.value = v
			if it.extra != nil {
				e := *it.extra
				other.extra = &e
			}
			c.fit(&other, key)
			c.kept.putExtra(key, other, epoch)
		}
	}
}
