package cache

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/warmcache/warmcache/internal/clock"
)

// item is what a load brought for a key: a value, or that there is none. The zero
// item is of no load.
type item[V any] struct {
	value  V
	loaded clock.Instant
	ttl    time.Duration
	flight uint32 // the number of the flight that loaded it; wraps around
	moved  uint32 // the store's inserted when it came to the front
	extra  *extra // nil: nothing of it is needed
}

// extra is what most items do not have, to keep those small.
type extra struct {
	missing  error // the origin's, if the key does not exist
	size     int64
	fromTier bool // loaded by another process, before the flight that brought it
}

func (it *item[V]) none() bool                   { return it.flight == 0 }
func (it *item[V]) fresh(now clock.Instant) bool { return it.loaded.Within(it.ttl, now) }

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

// answers reports whether it may be handed out to a caller that began when there
// had been that many flights: it is fresh, or was loaded since. A load that was
// joined began before; if it took longer than its TTL, what it read can be too old
// by now. A load that begins while the caller waits is as young as it gets,
// however long it takes. The clocks alone could not tell: they may run back.
func (it *item[V]) answers(began uint64, now clock.Instant) bool {
	return int32(it.flight-uint32(began)) > 0 && !it.fromTier() || it.fresh(now)
}

// store keeps items in order of use, within bounds of number and size. It is safe
// for concurrent use.
//
// A hit reads under one stripe of the lock and does not move the item, unless so
// many others were inserted since it came to the front that it may be nearing the
// end. While nothing is inserted, nothing moves.
type store[K comparable, V any] struct {
	maxBytes int64  // zero: no bound
	lazy     uint32 // insertions that an item may be behind

	lock     stripes
	items    *simplelru.LRU[K, item[V]]
	inserted uint32 // so far; wraps around
	bytes    int64
	evicted  evictions
}

// evictions are values that went to make room, by what there was no room of.
type evictions struct{ entries, bytes, oversize int64 }

func newStore[K comparable, V any](maxEntries int, maxBytes int64) (*store[K, V], error) {
	s := &store[K, V]{maxBytes: maxBytes, lazy: uint32(min(maxEntries/8, 1<<30)), lock: newStripes()}
	items, err := simplelru.NewLRU(maxEntries, func(_ K, it item[V]) { s.bytes -= it.size() })
	s.items = items
	return s, err
}

// hit returns the item of key if it is fresh, and counts and notes that it was
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
	// The clock is read when there is something to judge, and after the look: no
	// item can be younger.
	if !it.fresh(c.Now()) {
		l.Lock()
		l.hits--
		l.Unlock()
		return it, false
	}
	if behind {
		s.promote(key, it.flight)
	}
	return it, true
}

// peek returns the item of key, or none, without a trace.
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
			s.promote(keys[i], items[i].flight)
		}
		l.Lock()
	}
	return items, missed
}

// promote moves the item of key to the front, if it is still of that flight.
func (s *store[K, V]) promote(key K, flight uint32) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if it, ok := s.items.Peek(key); ok && it.flight == flight {
		it.moved = s.inserted
		s.items.Add(key, it)
	}
}

// put replaces what is kept for key by it; if it is not to be kept, by nothing.
//
// An item that was dropped, because its key was deleted or is being refreshed
// again, is not kept. But neither is what is older: a caller has got this one.
func (s *store[K, V]) put(key K, it item[V], keep bool, dropped func() bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if dropped() {
		if cur, ok := s.items.Peek(key); ok && int32(cur.flight-it.flight) < 0 {
			s.items.Remove(key)
		}
		return
	}
	s.items.Remove(key) // first: to replace an item would not take off its size
	if !keep {
		return
	}
	if s.maxBytes > 0 && it.size() > s.maxBytes {
		s.evicted.oversize++ // it would push out all others and then itself
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

// remove removes the item of key, after it has called first under the lock.
func (s *store[K, V]) remove(key K, first func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	first()
	s.items.Remove(key)
}

// clear removes all items, after it has called first under the lock.
func (s *store[K, V]) clear(first func()) {
	s.lock.Lock()
	defer s.lock.Unlock()
	first()
	s.items.Purge()
}

// size returns what is kept.
func (s *store[K, V]) size() (entries int, bytes int64) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.items.Len(), s.bytes
}

// counts returns what was counted so far.
func (s *store[K, V]) counts() (hits int64, evicted evictions) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.lock.hits(), s.evicted
}
