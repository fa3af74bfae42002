// Package cache keeps the results of database queries and other loads in the
// memory of a process that outlives the invocations it serves, as a warm
// container of AWS Lambda or OpenWhisk does.
//
// A [Cache] is read-through: it calls Load on a miss and keeps the value for TTL.
// Keep the Cache in a package-level variable:
//
//	var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
//		Load: loadProduct,
//		TTL:  time.Minute,
//	}))
//
// and call its [Cache.Get] instead of the database. Every miss is normal: a new
// container starts empty, and nothing but speed may depend on cached values.
//
// A Cache is made for a process that is frozen between invocations. It has no
// goroutine and no timer of its own. It measures age by the wall clock and by the
// monotonic clock, and the older age counts, because a paused machine may stop one
// of them and a time server may step the other. A Cache never serves a value that is
// older than TTL by either clock. A load that an invocation left behind costs later
// invocations at most one wait.
//
// Some callers need more than TTL: [Cache.Newer] returns a younger value than the
// caller's, [Cache.GetWithin] one that is younger than a duration, and [Cache.Refresh]
// the present value of the origin. Call [Cache.Delete] after a write. [Options.Reload]
// revalidates a value without loading it again, and [Options.StaleIfError] bridges an
// outage.
//
// With a [Tier], a value that one container has loaded serves the others as well, or
// the process that is started after a crash: see [Options.Tier], and packages redistier
// and disktier.
//
// # Rules for values and contexts
//
// Values are shared: all callers get the same V, and none may change it or anything it
// refers to, unless [Options.Clone] is set. An append to a shared slice is a change, too.
//
// Pass Get a context that outlives the call. Load gets its values, and Load may go on
// for other callers after Get has returned; a context that a web framework reuses for
// the next request (a *gin.Context, a *fasthttp.RequestCtx) would change under it.
//
// Values need no closing: an evicted value is left to the garbage collector, since
// other callers may still use it. If a value holds a resource, let
// [runtime.AddCleanup] release it once nobody refers to it:
//
//	runtime.AddCleanup(conn, func(fd int) { syscall.Close(fd) }, conn.fd)
//
// # Tests of code that uses a Cache
//
// Use testing/synctest: in its bubble, time.Sleep lets values expire at once. Make the
// Cache within the bubble. No other hook is needed.
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
// concurrent use. The zero Cache is not usable: call [New].
type Cache[K comparable, V any] struct {
	opts    Options[K, V]
	inline  bool // loads may run in the caller's goroutine: see flight.Terms
	encode  func(K) string
	clock   *clock.Clock
	flights *flight.Group[item[V]]
	kept    *store[K, V]
	tier    *tierClient                   // nil without a Tier
	hung    atomic.Pointer[clock.Instant] // when a load last hung; nil: none since the last success
	stats   counters
}

// New returns an empty [Cache]. It starts no goroutines and does not call Load.
//
// K must be made of strings, integers, bools, and arrays and structs of them,
// and should hold everything that the value depends on: arguments, tenant,
// version. If K is another type, or [Options] are out of range or contradict each
// other, New returns an error that names the part.
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
		c.tier = newTierClient(&opts)
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

// Get returns the value of key: a cached one that is younger than TTL, or the result of
// Load. If a Load takes longer than TTL, the callers that joined it after its start
// call Load again, and get a value that the origin had while they waited.
//
// Get returns the error of Load unchanged. If ctx ends while Get waits, Get returns the
// error of ctx at once, and the Load goes on for other callers. A cached value is
// returned without checking ctx. If Load panics, Get panics with an error that has
// Load's stack.
//
// If only callers without a deadline wait for a Load, it may be left over from an
// earlier invocation. Get joins such a Load during its first second only, and not after
// a caller has given up waiting for it.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	if it, ok := c.kept.hit(key, c.clock); ok {
		return c.handOut(it, Hit, nil)
	}
	c.stats.misses.Add(1)
	return c.handOut(c.fetch(ctx, key, anyFresh))
}

// Refresh loads key again, even if its value is fresh, and caches the result. Use it
// when the value is known to have changed and is needed at once. If you hold the wrong
// value, [Cache.Newer] needs fewer Loads.
//
// The Load of a Refresh begins after the call. If a Load of key is running, it begins
// when that has ended; all Refreshes that are called before then share it, and so do
// Gets that miss. So no two Loads of a key run at once because of Refresh. After an
// error, the cached value stays.
func (c *Cache[K, V]) Refresh(ctx context.Context, key K) (V, error) {
	c.kept.epoch.Add(1)
	return c.handOut(c.fetch(ctx, key, want{refresh: true}))
}

// Peek returns the value of key if it is cached and fresh. It never calls Load, and it
// neither counts as a hit nor marks the value as used. For a known miss, ok is false.
func (c *Cache[K, V]) Peek(key K) (v V, ok bool) {
	it := c.kept.peek(key)
	if it.none() || it.missing() != nil || !it.fresh(c.clock.Now()) {
		return v, false
	}
	return c.clone(it.value), true
}

// handOut returns an item to a caller. If err is not nil, item and error are Load's.
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

// Delete removes key. Call it after a write to the database has been committed. No Get
// that starts after Delete returns a value that was loaded before it: a Load in flight
// is not joined any more, and its result is not cached. Delete affects this container
// only.
//
// With a [Tier], Delete is [Cache.Invalidate] without the error, which Stats counts.
func (c *Cache[K, V]) Delete(key K) { _ = c.Invalidate(context.Background(), key) }

// Invalidate is [Cache.Delete] for a Cache with a [Tier]: it also removes key from the
// Tier. It takes at most TierTimeout.
//
// After Invalidate has returned nil, no container gets from the Tier a value that was
// loaded before it, not even by a Load that is in flight in another container. Values
// that other containers have in memory are served until TTL, or MemoryTTL. If the Tier
// fails or ctx ends, Invalidate returns an error. The promise of Delete then still
// holds for this container, but others may get older values from the Tier until TTL.
// Call Invalidate again, or report that the write will be seen late.
func (c *Cache[K, V]) Invalidate(ctx context.Context, key K) (err error) {
	name := c.encode(key)
	if c.tier != nil {
		// This comes first: a flight here may find the old record before the Tier
		// deletes it. The flight is invalidated below, so its result is not kept.
		tierCtx, cancel := context.WithTimeout(ctx, c.tier.budget)
		defer cancel()
		err = c.deleteFromTier(tierCtx, nameOf(c.tier.space, name))
	}
	// Both run under the lock, in this order. Otherwise a load that ends in between
	// would be kept (see flight.Call.Claim), or one that starts in between would find
	// the old value.
	c.kept.remove(key, func() { c.flights.Invalidate(name) })
	return err
}

// Clear removes all keys from memory, as [Cache.Delete] does. Records stay in the Tier
// for other containers, but this Cache accepts none that were loaded before Clear.
func (c *Cache[K, V]) Clear() {
	if c.tier != nil {
		c.tier.invalidateBefore(c.clock.Now())
	}
	c.kept.clear(c.flights.InvalidateAll)
}

// Len returns the number of entries kept, including known misses, and expired entries
// that nobody has requested since.
func (c *Cache[K, V]) Len() int {
	n, _ := c.kept.size()
	return n
}
