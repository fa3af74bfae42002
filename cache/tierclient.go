package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// A tierClient holds the part of a Cache that concerns its Tier.
type tierClient struct {
	tier   BatchTier
	space  string
	shape  string // of the keys: see identityOf
	skew   time.Duration
	budget time.Duration

	// minLoaded is a wall time. Records that were loaded before it, by any container's
	// clock, are rejected: they may be of keys that were invalidated here.
	minLoaded atomic.Int64
}

func newTierClient[K comparable, V any](o *Options[K, V]) *tierClient {
	tier, ok := o.Tier.(BatchTier)
	if !ok {
		tier = oneByOne{o.Tier}
	}
	return &tierClient{
		tier:   tier,
		space:  o.Namespace,
		shape:  shapeOf[K](),
		skew:   cmp.Or(o.ClockSkew, DefaultClockSkew),
		budget: cmp.Or(o.TierTimeout, DefaultTierTimeout),
	}
}

// A tierKey is a key for calls of the Tier, with the lease that the Tier has granted.
type tierKey struct {
	name, identity, lease string
	found                 bool
}

func (s *tierClient) key(key string) tierKey {
	return tierKey{name: nameOf(s.space, key), identity: identityOf(s.space, s.shape, key)}
}

// invalidateBefore makes the Cache reject all records that were loaded before now.
func (s *tierClient) invalidateBefore(now clock.Instant) {
	for {
		old := s.minLoaded.Load()
		if old >= now.Wall || s.minLoaded.CompareAndSwap(old, now.Wall) {
			return
		}
	}
}

// tooOld reports whether r may have been loaded before a call of invalidateBefore.
func (s *tierClient) tooOld(r record) bool {
	least := s.minLoaded.Load()
	return least != 0 && r.loaded <= least+int64(s.skew)
}

// callContext returns the context for one call of the Tier by a flight whose callers have
// until latest. A Tier that stalls must not use up the callers' time, so the call gets
// at most a quarter of it.
func (s *tierClient) callContext(ctx context.Context, latest func() (time.Time, bool)) (context.Context, context.CancelFunc) {
	budget := s.budget
	if t, ok := latest(); ok {
		budget = min(budget, time.Until(t)/4)
	}
	return context.WithTimeout(ctx, budget)
}

// loadThroughTier gets key from the Tier, or if there is no usable record, from Load.
func (c *Cache[K, V]) loadThroughTier(ctx context.Context, s *call[V], key K, w want) (item[V], error) {
	q := c.tier.key(s.Key())
	if w.refresh {
		w.deleted = uint32(c.flights.NextID())
		if c.deleteForRefresh(ctx, s, q.name) != nil {
			// The Tier may still have a record that the caller knows to be out of date.
			// After a Delete that succeeded, all its records are younger.
			return c.loadTimed(ctx, s, key, w)
		}
	}
	it, ok := c.getFromTier(ctx, s, key, &q, w)
	if ok {
		return it, nil
	}
	it, err := c.loadTimed(ctx, s, key, w)
	c.setInTier(ctx, s, c.recordOf(s, q, it))
	return it, err
}

// flightTimeout returns the timeout of a flight: LoadTimeout, and TierTimeout for each
// call of the Tier that it may make.
func (c *Cache[K, V]) flightTimeout() time.Duration {
	switch {
	case c.opts.LoadTimeout == Forever:
		return 0
	case c.tier == nil:
		return c.opts.LoadTimeout
	}
	return plus(c.opts.LoadTimeout, plus(c.tier.budget, plus(c.tier.budget, c.tier.budget)))
}

// loadTimed is loadOne within LoadTimeout. Without a Tier, LoadTimeout is the flight's.
func (c *Cache[K, V]) loadTimed(ctx context.Context, s *call[V], key K, w want) (it item[V], err error) {
	err = c.timed(ctx, func(ctx context.Context) (err error) {
		it, err = c.loadOne(ctx, s, key, c.clock.Now(), w)
		return err
	})
	return it, err // in a statement of its own: return it, c.timed(...) may read it first
}

// timed calls load within LoadTimeout.
func (c *Cache[K, V]) timed(ctx context.Context, load func(context.Context) error) error {
	if c.opts.LoadTimeout == Forever {
		return load(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.LoadTimeout)
	defer cancel()
	err := load(ctx)
	if ctx.Err() == context.DeadlineExceeded && errors.Is(err, context.DeadlineExceeded) {
		return flight.ErrTimeout
	}
	return err
}

// getFromTier gets the item of a key from the Tier, if the caller accepts it, or a
// lease.
func (c *Cache[K, V]) getFromTier(ctx context.Context, s *call[V], key K, q *tierKey, w want) (item[V], bool) {
	read := reading{c.clock.Now(), uint32(c.flights.NextID())}
	tierCtx, cancel := c.tier.callContext(ctx, s.LatestDeadline)
	defer cancel()
	var got item[V]
	identity := q.identity // q would escape to the heap through the Tier
	lease, err := c.tier.tier.Get(tierCtx, q.name, func(b []byte) bool {
		it, ok := c.accept(s, key, identity, b, w, read)
		if ok {
			got = it
		}
		return ok
	})
	c.tierFailed(ctx, err)
	if !got.none() {
		c.stats.tierHits.Add(1)
		return got, true
	}
	c.stats.tierMisses.Add(1)
	q.lease = lease
	return got, false
}

// reading is the time of a call of the Tier, and an ID from before it.
type reading struct {
	at clock.Instant
	id uint32
}

// accept decodes the record b and keeps it as the item of key, if the caller accepts it.
func (c *Cache[K, V]) accept(s *call[V], key K, identity string, b []byte, w want, read reading) (it item[V], ok bool) {
	now := c.clock.Now()
	r, ok := decodeRecord(b, identity)
	age := time.Duration(now.Wall-r.loaded) + c.tier.skew
	if !ok || age < 0 {
		c.stats.tierRejected.Add(1)
		return it, false
	}
	if c.tier.tooOld(r) || !c.mayServe(r, age) {
		return it, false
	}
	it = item[V]{
		loaded: clock.Instant{Wall: now.Wall - int64(age), Mono: now.Mono - int64(age)},
		load:   uint32(c.flights.NextID()), // after the load in the other process
		extra:  &extra{fromTier: true, record: r.id, after: r.after, read: read.id, deleted: w.deleted},
	}
	if !c.fill(&it, key, r) {
		c.stats.tierRejected.Add(1)
		return it, false
	}
	if !it.fresh(now) {
		c.keepStale(s, key, it)
		return it, false
	}
	if !accepts(w, &it, now) {
		return it, false
	}
	if it.ttl != Forever {
		// Containers that share a record must not all reload it at the same time.
		it.ttl = age + c.jitter(it.ttl-age)
	}
	it.setTTL(it.ttl, c.memoryTTL(&it, read.at))
	c.kept.put(key, it, true, s.Claim)
	return it, true
}

// memoryTTL returns how old an item may become in memory that the Tier had at that
// time.
func (c *Cache[K, V]) memoryTTL(it *item[V], asked clock.Instant) time.Duration {
	if c.opts.MemoryTTL == 0 {
		return 0
	}
	age := time.Duration(min(asked.Wall-it.loaded.Wall, asked.Mono-it.loaded.Mono))
	return plus(max(age, 0), c.opts.MemoryTTL)
}

// mayServe reports whether a record of that age may be served, if only as a stale one.
func (c *Cache[K, V]) mayServe(r record, age time.Duration) bool {
	if r.missing {
		return age < min(r.ttl, c.opts.MissingTTL)
	}
	return age < plus(r.ttl, c.opts.StaleIfError)
}

// fill sets the fields of it that depend on the payload. The TTL is the record's or, if
// that is shorter, this Cache's. A panic of the caller's functions rejects the record:
// it would otherwise repeat in every container until the record expires.
func (c *Cache[K, V]) fill(it *item[V], key K, r record) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if r.missing {
		it.ttl, it.extra.missing = min(r.ttl, c.opts.MissingTTL), ErrNotFound
		return true
	}
	v, err := c.opts.Codec.Decode(r.payload)
	if err != nil {
		return false
	}
	it.value, it.ttl = v, max(0, min(r.ttl, c.ttlOf(key, v)))
	if c.opts.Size != nil {
		it.extra.size = c.size(key, v)
	}
	return true
}

// keepStale keeps an expired value in case Load fails.
func (c *Cache[K, V]) keepStale(s *call[V], key K, it item[V]) {
	if c.opts.StaleIfError == 0 || it.missing() != nil || it.ttl <= 0 {
		return
	}
	if cur := c.kept.peek(key); cur.none() || cur.loaded.Wall < it.loaded.Wall {
		c.kept.put(key, it, true, s.Claim)
	}
}

// recordOf returns the record of a loaded item for the Tier. The record is nil if the
// item must not be stored; the Tier then only gets its lease back.
func (c *Cache[K, V]) recordOf(s *call[V], q tierKey, it item[V]) TierRecord {
	now := c.clock.Now()
	// The older of the two ages, subtracted from the present wall time: the wall clock may
	// have been set since the load began.
	age := max(time.Duration(now.Wall-it.loaded.Wall), time.Duration(now.Mono-it.loaded.Mono))
	none := TierRecord{Name: q.name, Lease: q.lease}
	full := it.fullTTL()
	if q.lease == "" || full <= 0 || !it.loaded.Within(full, now) || full-age <= c.tier.skew || s.Revoked() {
		return none
	}
	r := record{loaded: now.Wall - int64(age), ttl: full, missing: it.missing() != nil, id: it.extra.record, after: it.extra.after}
	stale := c.opts.StaleIfError
	if r.missing {
		stale = 0
	} else {
		var ok bool
		if r.payload, ok = c.encodeValue(it.value); !ok {
			return none
		}
	}
	ttl := Forever
	if full != Forever {
		ttl = plus(full-age, stale)
	}
	return TierRecord{Name: q.name, Lease: q.lease, Record: r.encode(q.identity), TTL: ttl}
}

// encodeValue calls Codec.Encode. A panic there only keeps v out of the Tier: v itself is
// loaded, and its callers get it.
func (c *Cache[K, V]) encodeValue(v V) (payload []byte, ok bool) {
	defer func() {
		if recover() != nil {
			payload, ok = nil, false
		}
		if !ok {
			c.stats.codecErrors.Add(1)
		}
	}()
	payload, err := c.opts.Codec.Encode(v)
	return payload, err == nil
}

// setInTier stores records in the Tier, or gives their leases back.
func (c *Cache[K, V]) setInTier(ctx context.Context, s *call[V], records ...TierRecord) {
	records = slices.DeleteFunc(records, func(r TierRecord) bool { return r.Lease == "" })
	if len(records) == 0 || ctx.Err() != nil {
		return // leases expire by themselves
	}
	tierCtx, cancel := c.tier.callContext(ctx, s.LatestDeadline)
	defer cancel()
	if len(records) == 1 {
		c.tierFailed(ctx, c.tier.tier.Set(tierCtx, records[0]))
		return
	}
	c.tierFailed(ctx, c.tier.tier.SetMany(tierCtx, records))
}

// deleteForRefresh is deleteFromTier within the time of a flight.
func (c *Cache[K, V]) deleteForRefresh(ctx context.Context, s *call[V], names ...string) error {
	tierCtx, cancel := c.tier.callContext(ctx, s.LatestDeadline)
	defer cancel()
	return c.deleteFromTier(tierCtx, names...)
}

// deleteFromTier removes keys from the Tier. If that fails, this Cache accepts no record
// any more that was loaded before now.
func (c *Cache[K, V]) deleteFromTier(ctx context.Context, names ...string) (err error) {
	if len(names) == 1 {
		err = c.tier.tier.Delete(ctx, names[0])
	} else {
		err = c.tier.tier.DeleteMany(ctx, names)
	}
	if err != nil {
		c.stats.tierErrors.Add(1)
		c.tier.invalidateBefore(c.clock.Now())
	}
	return err
}

// tierFailed counts an error of the Tier, unless the last caller has left.
func (c *Cache[K, V]) tierFailed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		c.stats.tierErrors.Add(1)
	}
}

// plus adds durations that may be Forever.
func plus(a, b time.Duration) time.Duration {
	if a > Forever-b {
		return Forever
	}
	return a + b
}
