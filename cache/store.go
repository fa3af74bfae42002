package cache

import (
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/warmcache/warmcache/internal/clock"
)

// item is the result of a load for a key: a value, or a known miss. The zero item is
// the result of no load.
type item[V any] struct {
	value  V
	loaded clock.Instant
	ttl    time.Duration // for memory, counted from loaded
	load   uint32        // the ID of the load, or of the flight that got it from the Tier; wraps around
	moved  uint32        // the store's inserted when the item moved to the front
	extra  *extra        // nil if all its fields are zero
}

// extra holds the rare fields of an item, to keep items small. The extra of an item in
// the store is never written.
type extra struct {
	missing error // the error of the known miss
	size    int64

	failed    clock.Instant // when a load of the key last failed that was to replace the item
	hasFailed bool

	// With a Tier.
	fromTier bool          // loaded by another process, before the flight that read it
	ttl      time.Duration // that of the value, if that of the item is shorter; else zero
	record   uint64        // names the load
	after    uint64        // names a load that has begun before it
	read     uint32        // an ID from before the Tier was read
	deleted  uint32        // an ID from before the flight deleted older records; zero: it did not
}

func (it *item[V]) none() bool                   { return it.load == 0 }
func (it *item[V]) fresh(now clock.Instant) bool { return it.loaded.Within(it.ttl, now) }

// more returns the extra of an item that is not in the store yet.
func (it *item[V]) more() *extra {
	if it.extra == nil {
		it.extra = &extra{}
	}
	return it.extra
}

func (it *item[V]) missing() error {
	if it.extra == nil {
		return nil
	}
	return it.extra.missing
}

func (it *item[V]) fromTier() bool { return it.extra != nil && it.extra.fromTier }

func (it *item[V]) size() int64 {
	if it.extra == nil {
		return 0
	}
	return it.extra.size
}

// setTTL sets the TTL of the value. If memory is not zero, it bounds the time in
// memory.
func (it *item[V]) setTTL(ttl, memory time.Duration) {
	it.ttl = ttl
	if memory > 0 && memory < ttl {
		it.ttl, it.more().ttl = memory, ttl
	}
}

// fullTTL returns the TTL of the value.
func (it *item[V]) fullTTL() time.Duration {
	if it.extra != nil && it.extra.ttl > 0 {
		return it.extra.ttl
	}
	return it.ttl
}

// isAfter reports whether the item's load began after that one. No clock can compare
// two loads of other processes, so a record names the load that it was to replace.
func (it *item[V]) isAfter(id loadID) bool {
	if it.fromTier() {
		return id.record != 0 && it.extra.after == id.record
	}
	return int32(it.load-id.local) > 0
}

// store keeps items in order of use, within bounds of number and size. It is safe
// for concurrent use.
//
// A hit reads under one stripe of the lock and does not move the item. It moves an
// item only if so many others were inserted since its last move that it may be
// close to eviction. Without inserts, no item moves.
type store[K comparable, V any] struct {
	maxBytes int64  // zero: no bound
	lazy     uint32 // insertions that an item may be behind

	lock     stripes
	items    *simplelru.LRU[K, item[V]]
	inserted uint32 // so far; wraps around
	bytes    int64
	evicted  evictions

	epoch atomic.Uint64 // counts invalidations
}

// evictions counts values evicted for room, by the bound that they exceeded.
type evictions struct{ entries, bytes, oversize int64 }

func newStore[K comparable, V any](maxEntries int, maxBytes int64) (*store[K, V], error) {
	s := &store[K, V]{maxBytes: maxBytes, lazy: uint32(min(maxEntries/8, 1<<30)), lock: newStripes()}
	items, err := simplelru.NewLRU(maxEntries, func(_ K, it item[V]) { s.bytes -= it.size() })
	s.items = items
	return s, err
}

// hit returns the item of key if it is fresh, counts the hit, and marks the item as
// used.
func (s *store[K, V]) hit(key K, c *clock.Clock) (it item[V], ok bool) {
	l := s.lock.mine()
	l.Lock()
	if it, ok = s.items.Peek(key); !ok {
		l.Unlock() // not deferred: nothing in between can panic, and it is the hot path
		return it, false
	}
	l.hits++
	behind := s.inserted-it.moved > s.lazy
	l.Unlock()
	// The clock is read after the lookup, and only if there is an item: no item can be
	// younger than the reading.
	if !it.fresh(c.Now()) {
		l.Lock()
		l.hits--
		l.Unlock()
		return it, false
	}
	if behind {
		s.promote(key, it.load)
	}
	return it, true
}

// peek returns the item of key, or the zero item, and does not mark it as used.
func (s *store[K, V]) peek(key K) item[V] {
	l := s.lock.mine()
	l.Lock()
	defer l.Unlock()
	it, _ := s.items.Peek(key)
	return it
}

// hitMany is hit for many keys. It returns their items and the indexes of those
// that are not fresh, and reads the clock once.
func (s *store[K, V]) hitMany(keys []K, c *clock.Clock) (items []item[V], missed []int) {
	items = make([]item[V], len(keys))
	l := s.lock.mine()
	l.Lock()
	defer l.Unlock()
	now := c.Now()
	var behind []int
	for i, key := range keys {
		it, ok := s.items.Peek(key)
		switch {
		case !ok || !it.fresh(now):
			missed = append(missed, i)
		case s.inserted-it.moved > s.lazy:
			behind = append(behind, i)
		}
		items[i] = it
	}
	l.hits += int64(len(keys) - len(missed))
	if behind != nil {
		l.Unlock()
		for _, i := range behind {
			s.promote(keys[i], items[i].load)
		}
		l.Lock()
	}
	return items, missed
}

// markUsed is the part of hit that follows the lookup.
func (s *store[K, V]) markUsed(key K, it *item[V]) {
	l := s.lock.mine()
	l.Lock()
	l.hits++
	behind := s.inserted-it.moved > s.lazy
	l.Unlock()
	if behind {
		s.promote(key, it.load)
	}
}

// markFailed notes that a load of key has failed that was to replace the item with that
// load ID.
func (s *store[K, V]) markFailed(key K, load uint32, now clock.Instant) {
	s.lock.Lock()
	defer s.lock.Unlock()
	it, ok := s.items.Peek(key)
	if !ok || int32(it.load-load) >= 0 {
		return
	}
	var e extra
	if it.extra != nil {
		e = *it.extra
	}
	e.failed, e.hasFailed = now, true
	it.extra, it.moved = &e, s.inserted
	s.items.Add(key, it)
}

// promote moves the item of key to the front, if it is still of that load.
func (s *store[K, V]) promote(key K, load uint32) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if it, ok := s.items.Peek(key); ok && it.load == load {
		it.moved = s.inserted
		s.items.Add(key, it)
	}
}

// put replaces the item of key by it, or removes the item if keep is false.
//
// An item that cannot be claimed, because its key was invalidated or a younger load has
// claimed it, is not stored. But an older item is removed all the same: a caller has
// got this one.
func (s *store[K, V]) put(key K, it item[V], keep bool, claim func() bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !claim() {
		if cur, ok := s.items.Peek(key); ok && int32(cur.load-it.load) < 0 {
			s.items.Remove(key)
		}
		return
	}
	s.insert(key, it, keep)
}

// putExtra stores an item that no flight was for, unless a key has been invalidated
// since that epoch, or the item of key is younger.
func (s *store[K, V]) putExtra(key K, it item[V], epoch uint64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if cur, ok := s.items.Peek(key); s.epoch.Load() != epoch || ok && int32(cur.load-it.load) >= 0 {
		return
	}
	s.insert(key, it, it.ttl > 0)
}

// insert is put without a claim. The caller holds the lock.
func (s *store[K, V]) insert(key K, it item[V], keep bool) {
	s.items.Remove(key) // first: to replace an item would not subtract its size
	if !keep {
		return
	}
	if s.maxBytes > 0 && it.size() > s.maxBytes {
		s.evicted.oversize++ // it would evict all others and then itself
		return
	}
	for s.maxBytes > 0 && s.bytes > s.maxBytes-it.size() {
		s.items.RemoveOldest()
		s.evicted.bytes++
	}
	s.inserted++
	it.moved = s.inserted
	if s.items.Add(key, it) {
		s.evicted.entries++
	}
	s.bytes += it.size()
}

// remove calls first under the lock and removes the item of key.
func (s *store[K, V]) remove(key K, first func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.epoch.Add(1)
	first()
	s.items.Remove(key)
}

// clear calls first under the lock and removes all items.
func (s *store[K, V]) clear(first func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.epoch.Add(1)
	first()
	s.items.Purge()
}

// size returns the number of entries and their total size.
func (s *store[K, V]) size() (entries int, bytes int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.items.Len(), s.bytes
}

// counts returns the counts so far.
func (s *store[K, V]) counts() (hits int64, evicted evictions) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.lock.hits(), s.evicted
}
