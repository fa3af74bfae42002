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
// goroutine and no timer. It tells age by the wall and by the monotonic clock,
// and believes the one that says older, since a paused machine may stop the one
// and a time server may step the other. A load that an invocation left behind is
// never joined by a later one.
//
// Caveat: values are shared. All callers get the same V, and what it points to
// must not be changed.
package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
	"github.com/warmcache/warmcache/internal/keys"
)

// Forever is the TTL of values that never change.
const Forever = clock.Forever

// DefaultMaxEntries bounds a Cache whose Options say nothing.
const DefaultMaxEntries = 1000

// ErrNotFound is what a Load returns for a key that does not exist. It may be
// wrapped.
var ErrNotFound = errors.New("not found")

// Options say what a Cache keeps and for how long.
type Options[K comparable, V any] struct {
	// Load asks the origin for the value of key. Required.
	//
	// Concurrent Gets of a key share one Load. Its context has the values of
	// the first caller's and ends when no caller waits any more, so it has no
	// deadline of its own. An error goes to the callers as it is and is not
	// remembered. Load may ask this Cache for other keys.
	Load func(ctx context.Context, key K) (V, error)

	// TTL is how old a value may be when it is handed out, counted from the
	// start of its Load. Required: positive, or Forever.
	TTL time.Duration

	// MaxEntries is how many values are kept; beyond that the least recently
	// used one goes. Zero means DefaultMaxEntries; negative is an error.
	MaxEntries int
}

// A Cache keeps loaded values of type V by keys of type K. It is safe for
// concurrent use.
type Cache[K comparable, V any] struct {
	load    func(context.Context, K) (V, error)
	ttl     time.Duration
	encode  func(K) string
	clock   *clock.Clock
	flights *flight.Group[entry[V]]

	mu      sync.Mutex
	entries *simplelru.LRU[K, entry[V]]
	hits    int64
	evicted int64

	misses, loads, loadErrors, joins atomic.Int64
}

// entry is a value and the moment before its load.
type entry[V any] struct {
	value  V
	loaded clock.Instant
}

// New returns an empty Cache. It starts nothing and asks nothing.
//
// K must be made of strings, integers, bools, and arrays and structs of them,
// and should hold everything that the answer depends on: arguments, tenant,
// version.
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
	if opts.MaxEntries == 0 {
		opts.MaxEntries = DefaultMaxEntries
	}
	entries, err := simplelru.NewLRU[K, entry[V]](opts.MaxEntries, nil)
	if err != nil {
		return nil, fmt.Errorf("cache.New: %w", err)
	}
	return &Cache[K, V]{
		load:    opts.Load,
		ttl:     opts.TTL,
		encode:  encode,
		clock:   clk,
		flights: flight.NewGroup[entry[V]](clk),
		entries: entries,
	}, nil
}

func (o *Options[K, V]) validate() error {
	switch {
	case o.Load == nil:
		return errors.New("Options.Load is nil: a cache without an origin has nothing to hand out")
	case o.TTL <= 0:
		return fmt.Errorf("Options.TTL is %v: it must be positive, or cache.Forever for values that never change", o.TTL)
	case o.MaxEntries < 0:
		return fmt.Errorf("Options.MaxEntries is %d: it must not be negative", o.MaxEntries)
	}
	return nil
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
// Load gives.
//
// It returns the error of Load as it is, and the error of ctx as soon as ctx
// ends, also while the Load goes on for other callers. If Load panics, Get panics
// with an error that has Load's stack.
func (c *Cache[K, V]) Get(ctx context.Context, key K) (V, error) {
	if e, ok := c.hit(key); ok {
		return e.value, nil
	}
	c.misses.Add(1)
	return c.fetch(ctx, key)
}

// fetch loads key, or joins a Load of it that is under way.
func (c *Cache[K, V]) fetch(ctx context.Context, key K) (V, error) {
	name := c.encode(key)
	for {
		e, joined, err := c.flights.Do(ctx, name, c.ttl,
			func(ctx context.Context, f *flight.Flight[entry[V]]) (entry[V], error) {
				return c.loadOnce(ctx, f, key)
			})
		if joined {
			c.joins.Add(1)
			// The Load began before this Get. If it took longer than TTL, what it
			// read can be too old by now. This Get's own Load is as young as it gets.
			if !e.loaded.Within(c.ttl, c.clock.Now()) {
				continue
			}
		}
		return e.value, err
	}
}

// loadOnce asks the origin, unless another flight has landed since the caller's
// miss.
func (c *Cache[K, V]) loadOnce(ctx context.Context, f *flight.Flight[entry[V]], key K) (entry[V], error) {
	if e, ok := c.peek(key); ok {
		return e, nil
	}
	c.loads.Add(1)
	v, err := c.load(ctx, key)
	e := entry[V]{value: v, loaded: f.Started}
	if err != nil {
		c.loadErrors.Add(1)
		return e, err
	}
	c.keep(f, key, e)
	return e, nil
}

// keep stores e unless its key was deleted, or its flight left behind, since the
// load began.
func (c *Cache[K, V]) keep(f *flight.Flight[entry[V]], key K, e entry[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Dropped() {
		return
	}
	if c.entries.Add(key, e) {
		c.evicted++
	}
}

// hit returns the kept value of key if it is fresh, and marks it as used.
func (c *Cache[K, V]) hit(key K) (entry[V], bool) {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries.Get(key)
	if !ok || !e.loaded.Within(c.ttl, now) {
		return entry[V]{}, false
	}
	c.hits++
	return e, true
}

// peek is hit without a trace.
func (c *Cache[K, V]) peek(key K) (entry[V], bool) {
	now := c.clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries.Peek(key)
	return e, ok && e.loaded.Within(c.ttl, now)
}

// Peek returns the value of key if it is kept and fresh. It never loads, and it
// neither counts nor marks the value as used.
func (c *Cache[K, V]) Peek(key K) (V, bool) {
	e, ok := c.peek(key)
	if !ok {
		var zero V
		return zero, false
	}
	return e.value, true
}

// Delete removes key, for use after a write to the database. No Get that starts
// after it returns a value that was loaded before it: a Load under way is not
// joined any more and its result is not kept. Other containers do not hear of it.
func (c *Cache[K, V]) Delete(key K) {
	c.flights.Forget(c.encode(key)) // first: see Flight.Dropped
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Remove(key)
}

// Clear removes all keys, as Delete does.
func (c *Cache[K, V]) Clear() {
	c.flights.ForgetAll()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Purge()
}

// Len returns the number of values kept, with those that have expired and were
// not asked for since.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries.Len()
}

// Stats counts what a Cache did since New.
type Stats struct {
	Hits       int64 // Gets answered from memory
	Misses     int64 // Gets that were not
	Joins      int64 // misses that waited for the Load of another Get
	Loads      int64 // calls of Load
	LoadErrors int64 // calls of Load that returned an error
	Evictions  int64 // values that went because of MaxEntries
	Entries    int   // as of Len
}

// Stats returns the counts so far.
func (c *Cache[K, V]) Stats() Stats {
	s := Stats{
		Misses:     c.misses.Load(),
		Joins:      c.joins.Load(),
		Loads:      c.loads.Load(),
		LoadErrors: c.loadErrors.Load(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Hits, s.Evictions, s.Entries = c.hits, c.evicted, c.entries.Len()
	return s
}
