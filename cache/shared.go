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

// shared is what a Cache knows of its Tier.
type shared struct {
	tier   BatchTier
	space  string
	shape  string // of the keys: see identityOf
	skew   time.Duration
	budget time.Duration

	// Records that were loaded before this wall time, by whatever clock, are not
	// believed: they may be of keys that were deleted here.
	floor atomic.Int64
}

func newShared[K comparable, V any](o *Options[K, V]) *shared {
	tier, ok := o.Tier.(BatchTier)
	if !ok {
		tier = oneByOne{o.Tier}
	}
	return &shared{
		tier:   tier,
		space:  o.Namespace,
		shape:  shapeOf[K](),
		skew:   cmp.Or(o.ClockSkew, DefaultClockSkew),
		budget: cmp.Or(o.TierTimeout, DefaultTierTimeout),
	}
}

// question is a key as the Tier knows it, and the right to answer.
type question struct {
	name, identity, lease string
	answered              bool
}

func (s *shared) question(key string) question {
	return question{name: nameOf(s.space, key), identity: identityOf(s.space, s.shape, key)}
}

// distrust makes the Cache not believe what was loaded before now.
func (s *shared) distrust(now clock.Instant) {
	for {
		old := s.floor.Load()
		if old >= now.Wall || s.floor.CompareAndSwap(old, now.Wall) {
			return
		}
	}
}

// distrusts reports whether r may be from before distrust.
func (s *shared) distrusts(r record) bool {
	floor := s.floor.Load()
	return floor != 0 && r.loaded <= floor+int64(s.skew)
}

// within returns the context for one call of the Tier by a flight whose callers have
// until latest. A Tier that stalls must not use up the callers' time, so the call gets
// at most a quarter of it.
func (s *shared) within(ctx context.Context, latest func() (time.Time, bool)) (context.Context, context.CancelFunc) {
	budget := s.budget
	if t, ok := latest(); ok {
		budget = min(budget, time.Until(t)/4)
	}
	return context.WithTimeout(ctx, budget)
}

// loadShared asks the Tier for key, and if it has nothing, Load.
func (c *Cache[K, V]) loadShared(ctx context.Context, s *seat[V], key K, w want) (item[V], error) {
	q := c.shared.question(s.Key())
	if w.refresh && c.refreshShared(ctx, s, q.name) != nil {
		// The Tier may have what the caller knows to be out of date. What it has
		// after a Delete was loaded since.
		return c.loadTimed(ctx, s, key, w)
	}
	it, ok := c.ask(ctx, s, key, &q, w)
	if ok {
		return it, nil
	}
	it, err := c.loadTimed(ctx, s, key, w)
	c.answer(ctx, s, c.recordOf(s, q, it))
	return it, err
}

// flightTimeout is when a flight is given up: after LoadTimeout, and as many calls of
// the Tier as it may make.
func (c *Cache[K, V]) flightTimeout() time.Duration {
	switch {
	case c.opts.LoadTimeout == Forever:
		return 0
	case c.shared == nil:
		return c.opts.LoadTimeout
	}
	return plus(c.opts.LoadTimeout, plus(c.shared.budget, plus(c.shared.budget, c.shared.budget)))
}

// loadTimed is loadOne within LoadTimeout. Without a Tier the flight sees to that.
func (c *Cache[K, V]) loadTimed(ctx context.Context, s *seat[V], key K, w want) (it item[V], err error) {
	return it, c.timed(ctx, func(ctx context.Context) error {
		it, err = c.loadOne(ctx, s, key, c.clock.Now(), w)
		return err
	})
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

// ask asks the Tier for the item of a key, or for a lease.
func (c *Cache[K, V]) ask(ctx context.Context, s *seat[V], key K, q *question, w want) (item[V], bool) {
	asked := c.clock.Now()
	tierCtx, cancel := c.shared.within(ctx, s.LatestDeadline)
	defer cancel()
	var got item[V]
	identity := q.identity // so that q need not be allocated for what a Tier might do with use
	lease, err := c.shared.tier.Get(tierCtx, q.name, func(b []byte) bool {
		it, ok := c.take(s, key, identity, b, w, asked)
		if ok {
			got = it
		}
		return ok
	})
	c.failed(ctx, err)
	if !got.none() {
		c.stats.tierHits.Add(1)
		return got, true
	}
	c.stats.tierMisses.Add(1)
	q.lease = lease
	return got, false
}

// take makes the record b the item of key, if it may be handed out. The Tier was called
// at the time asked.
func (c *Cache[K, V]) take(s *seat[V], key K, identity string, b []byte, w want, asked clock.Instant) (it item[V], ok bool) {
	now := c.clock.Now()
	r, ok := decodeRecord(b, identity)
	age := time.Duration(now.Wall-r.loaded) + c.shared.skew
	if !ok || age < 0 {
		c.stats.tierRejected.Add(1)
		return it, false
	}
	if c.shared.distrusts(r) || !c.mayMatter(r, age) {
		return it, false
	}
	it = item[V]{
		loaded: clock.Instant{Wall: now.Wall - int64(age), Mono: now.Mono - int64(age)},
		load:   uint32(c.flights.NextID()), // after the load elsewhere
		extra:  &extra{elsewhere: true, record: r.id, after: r.after},
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
		// The rest is what containers share: that not all of them come back at once.
		it.ttl = age + c.jitter(it.ttl-age)
	}
	it.setTTL(it.ttl, c.memoryTTL(&it, asked))
	c.kept.put(key, it, true, s.Claim)
	return it, true
}

// memoryTTL returns how old an item may be in memory that the Tier had at the time asked.
func (c *Cache[K, V]) memoryTTL(it *item[V], asked clock.Instant) time.Duration {
	if c.opts.MemoryTTL == 0 {
		return 0
	}
	age := time.Duration(min(asked.Wall-it.loaded.Wall, asked.Mono-it.loaded.Mono))
	return plus(max(age, 0), c.opts.MemoryTTL)
}

// mayMatter reports whether a record of that age is worth to be decoded.
func (c *Cache[K, V]) mayMatter(r record, age time.Duration) bool {
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

// keepStale keeps a value that has expired, for when Load fails.
func (c *Cache[K, V]) keepStale(s *seat[V], key K, it item[V]) {
	if c.opts.StaleIfError == 0 || it.missing() != nil || it.ttl <= 0 {
		return
	}
	if cur := c.kept.peek(key); cur.none() || cur.loaded.Wall < it.loaded.Wall {
		c.kept.put(key, it, true, s.Claim)
	}
}

// recordOf returns what the Tier is to keep of a loaded item, which may be nothing.
func (c *Cache[K, V]) recordOf(s *seat[V], q question, it item[V]) TierRecord {
	now := c.clock.Now()
	// The age by the clock that says older. It goes with the present wall time, as
	// the one that the load began at may have been of a clock that was set since.
	age := max(time.Duration(now.Wall-it.loaded.Wall), time.Duration(now.Mono-it.loaded.Mono))
	none := TierRecord{Name: q.name, Lease: q.lease}
	full := it.fullTTL()
	if q.lease == "" || full <= 0 || !it.loaded.Within(full, now) || full-age <= c.shared.skew || s.Revoked() {
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

// answer gives the Tier what was loaded, or the leases back.
func (c *Cache[K, V]) answer(ctx context.Context, s *seat[V], records ...TierRecord) {
	records = slices.DeleteFunc(records, func(r TierRecord) bool { return r.Lease == "" })
	if len(records) == 0 || ctx.Err() != nil {
		return // a lease that is not given back runs out
	}
	tierCtx, cancel := c.shared.within(ctx, s.LatestDeadline)
	defer cancel()
	if len(records) == 1 {
		c.failed(ctx, c.shared.tier.Set(tierCtx, records[0]))
		return
	}
	c.failed(ctx, c.shared.tier.SetMany(tierCtx, records))
}

// refreshShared is deleteShared for a flight.
func (c *Cache[K, V]) refreshShared(ctx context.Context, s *seat[V], name string) error {
	tierCtx, cancel := c.shared.within(ctx, s.LatestDeadline)
	defer cancel()
	return c.deleteShared(tierCtx, name)
}

// deleteShared removes a key from the Tier. If that fails, nothing that the Tier
// may have of it is believed here.
func (c *Cache[K, V]) deleteShared(ctx context.Context, name string) error {
	err := c.shared.tier.Delete(ctx, name)
	if err != nil {
		c.stats.tierErrors.Add(1)
		c.shared.distrust(c.clock.Now())
	}
	return err
}

// failed counts an error of the Tier, unless it is that nobody waits any more.
func (c *Cache[K, V]) failed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		c.stats.tierErrors.Add(1)
	}
}

// plus adds what may be Forever.
func plus(a, b time.Duration) time.Duration {
	if a > Forever-b {
		return Forever
	}
	return a + b
}
