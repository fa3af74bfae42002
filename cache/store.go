package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/warmcache/warmcache/internal/clock"
)

// item is what is kept for a key: a value, or that there is none.
type item[V any] struct {
	value   V
	missing error // the origin's, if the key does not exist
	loaded  clock.Instant
	ttl     time.Duration
	size    int64
	moved   atomic.Uint32 // the store's moves when it came to the front
}

func (it *item[V]) fresh(now clock.Instant) bool { return it.loaded.Within(it.ttl, now) }

// answers reports whether another caller's item may be handed out to one that
// began then: it is fresh, or its load began later. A load that was joined and
// took longer than its TTL may have read what is too old by now; a load of one's
// own, or a later one, is as young as it gets.
func (it *item[V]) answers(began, now clock.Instant) bool {
	return it.fresh(now) || it.loaded.Mono > began.Mono
}

// store keeps items in order of use, within bounds of number and size. It is safe
// for concurrent use.
//
// A hit takes a read lock and does not move the item, unless so many others have
// come to the front since that it may be nearing the end. So readers run side by
// side, and what is always used is moved only when something else was: measured
// against moving on every hit, a hit takes three quarters of the time on one core
// and half on two, and the hit ratio on real traces differs by less than 0.1
// points.
type store[K comparable, V any] struct {
	maxBytes int64  // zero: no bound
	lazy     uint32 // moves that an item may be behind

	moves atomic.Uint32 // insertions and promotions so far; wraps around

	mu      sync.RWMutex
	items   *simplelru.LRU[K, *item[V]]
	bytes   int64
	evicted evictions
}

// evictions are values that went to make room, by what there was no room of.
type evictions struct{ entries, bytes, oversize int64 }

func newStore[K comparable, V any](maxEntries int, maxBytes int64) (*store[K, V], error) {
	s := &store[K, V]{maxBytes: maxBytes, lazy: uint32(min(maxEntries/4, 1<<30))}
	items, err := simplelru.NewLRU(maxEntries, func(_ K, it *item[V]) { s.bytes -= it.size })
	s.items = items
	return s, err
}

// peek returns the item of key, or nil.
func (s *store[K, V]) peek(key K) *item[V] {
	s.mu.RLock()
	it, _ := s.items.Peek(key)
	s.mu.RUnlock() // not deferred: nothing in between can panic, and it is the hot path
	return it
}

// peekMany returns the items of keys, nil where there is none.
func (s *store[K, V]) peekMany(keys []K) []*item[V] {
	items := make([]*item[V], len(keys))
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, key := range keys {
		items[i], _ = s.items.Peek(key)
	}
	return items
}

// use notes that it, the item of key, was used.
func (s *store[K, V]) use(key K, it *item[V]) {
	if s.moves.Load()-it.moved.Load() > s.lazy {
		s.promote(key, it)
	}
}

func (s *store[K, V]) promote(key K, it *item[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cur, ok := s.items.Peek(key); ok && cur == it {
		s.items.Get(key)
		it.moved.Store(s.moves.Add(1))
	}
}

// put keeps it for key, unless dropped says that it is out of date.
func (s *store[K, V]) put(key K, it *item[V], dropped func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if dropped() {
		return
	}
	s.items.Remove(key) // first: to replace an item would not take off its size
	if s.maxBytes > 0 && it.size > s.maxBytes {
		s.evicted.oversize++ // it would push out all others and then itself
		return
	}
	for s.maxBytes > 0 && s.bytes > s.maxBytes-it.size {
		s.items.RemoveOldest()
		s.evicted.bytes++
	}
	if s.items.Add(key, it) {
		s.evicted.entries++
	}
	s.bytes += it.size
	it.moved.Store(s.moves.Add(1))
}

// remove removes the item of key, unless keep says that it must stay.
func (s *store[K, V]) remove(key K, keep func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !keep() {
		s.items.Remove(key)
	}
}

func (s *store[K, V]) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items.Purge()
}

func (s *store[K, V]) size() (entries int, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.items.Len(), s.bytes
}

func (s *store[K, V]) evictions() evictions {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.evicted
}
