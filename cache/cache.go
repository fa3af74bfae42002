// Package cache keeps the results of database queries and other loads in the
// memory of a process that outlives the invocations it serves, as a warm
// container of AWS Lambda or OpenWhisk does.
//
// A [Cache] is read-through: it asks Load on a miss and remembers the answer for
// TTL. Keep it in a package-level variable:
//
//	var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
//		Load: loadProduct,
//		TTL:  time.Minute,
//	}))
//
// and ask it instead of the database. Every miss is normal: a new container
// starts empty, and nothing but speed may depend on what is kept.
//
// A Cache is made for a process that is frozen between invocations. It has no
// goroutine and no timer of its own. It tells age by the wall and by the
// monotonic clock, and believes the one that says older, since a paused machine
// may stop the one and a time server may step the other: nothing is handed out
// that is older than TTL as long as one of them was right. A load that an
// invocation left behind is never joined by a later one.
//
// With a [Tier], what one container has loaded serves the others as well, or the
// process that is started after a crash: see Options.Tier, and packages redistier
// and disktier.
//
// Caveat: values are shared. All callers get the same V, and what it points to
// must not be changed, unless Options.Clone is set.
package cache

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
	"github.com/warmcache/warmcache/internal/keys"
)

// A Cache keeps loaded values of type V by keys of type K. It is safe for
// concurrent use. The zero Cache is not usable: call New.
type Cache[K comparable, V any] struct {
	opts    Options[K, V]
	inline  bool // loads may run in the caller's goroutine: see flight.Terms
	encode  func(K) string
	clock   *clock.Clock
	flights *flight.Group[item[V]]
	kept    *store[K, V]
	shared  *shared                       // nil without a Tier
	hung    atomic.Pointer[clock.Instant] // when a load last hung; nil: none since the last success
	stats   counters
}

// New returns an empty Cache. It starts nothing and asks nothing.
//
// K must be made of strings, integers, bools, and arrays and structs of them,
// and should hold everything that the answer depends on: arguments, tenant,
// version. Anything else, and Options that are out of range or contradict each
// other, are errors that name what is wrong.
func New[K comparable, V any](opts Options[K, V]) (*Cache[K, V], error) {
	return newCache(opts, clock.New())
}

func newCache[K comparable, V any](opts Options[K, V], clk *clock.Clock) (*Cache[K, V], error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("cache.New: %w", err)
	}
	encode, err := keys.Encoder[K]()
	if err != nil {
		return nil, fmt.Errorf("cache.New: %w", err)
	}
	inline := opts.LoadTimeout == 0 && opts.StaleIfError == 0
	opts.MaxEntries = cmp.Or(opts.MaxEntries, DefaultMaxEntries)
	opts.LoadTimeout = cmp.Or(opts.LoadTimeout, DefaultLoadTimeout)
	opts.RetryAfter = cmp.Or(opts.RetryAfter, DefaultRetryAfter)
	c := &Cache[K, V]{
		opts:    opts,
		inline:  inline,
		encode:  encode,
		clock:   clk,
		flights: flight.NewGroup[item[V]](clk),
	}
	c.kept, err = newStore[K, V](opts.MaxEntries, opts.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("cache.New: %w", err)
	}
	if opts.Tier != nil {
		c.shared = newShared(&opts)
	}
	c.stats.gap.start(clk.Now())
	return c, nil
}

// Must returns c, or panics if err is not nil. It is for package-level
// variables: cache.Must(cache.New(...)).
func Must[K comparable, V any](c *Cache[K, V], err error) *Cache[K, V] {
	if err != nil {
		panic(err)
	}
	return c
}

// Get returns the value of key: a kept one that is younger than TTL, or what
// Load gives. If a Load takes longer than TTL, those who joined it after its
// start make another one, and get what the origin said while they waited.
//
// It returns the error of Load as it is. A caller that waits for a Load returns
// the error of its ctx as soon as that ends, while the Load goes on for others;
// what is kept is handed out without a look at ctx. If Load panics, Get panics with
// an error that has Load's stack.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	if it, ok := c.kept.hit(key, c.clock); ok {
		return c.handOut(it, Hit, nil)
	}
	c.stats.misses.Add(1)
	return c.handOut(c.fetch(ctx, key, anyFresh))
}

// Refresh loads key anew, whatever is kept, and keeps the result; for use when
// the value is known to have changed and is wanted at once. A Load that is under
// way is not joined, and its result is not kept. When the new Load fails, what
// was kept stays.
func (c *Cache[K, V]) Refresh(ctx context.Context, key K) (V, error) {
	c.kept.epoch.Add(1)
	return c.handOut(c.fetch(ctx, key, want{refresh: true}))
}

// Peek returns the value of key if it is kept and fresh. It never loads, and it
// neither counts nor marks the value as used. That a key is remembered not to
// exist is no value.
func (c *Cache[K, V]) Peek(key K) (v V, ok bool) {
	it := c.kept.peek(key)
	if it.none() || it.missing() != nil || !it.fresh(c.clock.Now()) {
		return v, false
	}
	return c.clone(it.value), true
}

// handOut gives a caller what was loaded, which may be that there is nothing. With
// an error, both are Load's.
func (c *Cache[K, V]) handOut(it item[V], _ Source, err error) (V, error) {
	if err == nil {
		err = it.missing()
	}
	if err != nil {
		return it.value, err
	}
	return c.clone(it.value), nil
}

func (c *Cache[K, V]) clone(v V) V {
	if c.opts.Clone != nil {
		return c.opts.Clone(v)
	}
	return v
}

// Delete removes key, for use after a write to the database, once it is committed.
// No Get that starts after it returns a value that was loaded before it: a Load
// under way is not joined any more and its result is not kept. Other containers do
// not hear of it.
//
// With a Tier, Delete is Invalidate without an error: what it could not do is
// counted in Stats.
func (c *Cache[K, V]) Delete(key K) { _ = c.Invalidate(context.Background(), key) }

// Invalidate is Delete for a Cache with a Tier, from which it removes key as well.
// It takes at most TierTimeout.
//
// After it has returned nil, no container gets a value from the Tier that was loaded
// before it, not even by a Load that is under way in another one. What others have
// in memory they may hand out until TTL. After an error, which is the Tier's or that
// of ctx, what is promised of Delete still holds for this container, but others may
// get from the Tier what was loaded before, until TTL. Then call it again, or report
// the write as one that will be seen late.
func (c *Cache[K, V]) Invalidate(ctx context.Context, key K) (err error) {
	name := c.encode(key)
	if c.shared != nil {
		// First: what a flight here finds in the Tier before that is not kept, since
		// the flight is forgotten below.
		tierCtx, cancel := context.WithTimeout(ctx, c.shared.budget)
		defer cancel()
		err = c.deleteShared(tierCtx, nameOf(c.shared.space, name))
	}
	// Both under the lock, and in this order. A load that comes home in between
	// must not be kept: see flight.Seat.Dropped. And one that starts in between
	// must not find the old value when it looks again.
	c.kept.remove(key, func() { c.flights.Invalidate(name) })
	return err
}

// Clear removes all keys from memory, as Delete does. What the Tier keeps stays
// there for others, but this Cache uses none of it that was loaded before.
func (c *Cache[K, V]) Clear() {
	if c.shared != nil {
		c.shared.distrust(c.clock.Now())
	}
	c.kept.clear(c.flights.InvalidateAll)
}

// Len returns the number of values kept, with those that have expired and were
// not asked for since, and with the keys that are remembered not to exist.
func (c *Cache[K, V]) Len() int {
	n, _ := c.kept.size()
	return n
}
