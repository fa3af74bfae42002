package filecache

import (
	"sync"
	"sync/atomic"
)

// forgets numbers the calls of Forget and Clear. A Value compares the number with one
// atomic load to notice calls since it was parsed.
//
// Copies use the clocks for this, across processes. A Value cannot: a clock may stop or
// run back, and a Get that starts after a Forget must not return an older value.
type forgets struct {
	number atomic.Uint64 // of the last call; written under mu

	mu   sync.Mutex
	keys map[ID]uint64 // the last Forget of each object
	all  uint64        // the last Clear, or Forget that was removed from keys
}

// maxForgets bounds the length of keys.
const maxForgets = 1024

// add counts a Forget of id. Call it after the copy of id is removed: bytes fetched in
// between are then parsed again, which costs only time.
func (f *forgets) add(id ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.number.Load() + 1
	if len(f.keys) >= maxForgets {
		clear(f.keys)
		f.all = n
	} else if f.keys == nil {
		f.keys = map[ID]uint64{}
	}
	f.keys[id] = n
	f.number.Store(n)
}

func (f *forgets) addAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.keys)
	f.all = f.number.Add(1)
}

// last returns the number of the last call that applies to id or one of its sources.
func (f *forgets) last(id ID) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.all
	id.sources(func(id ID) { last = max(last, f.keys[id]) })
	return last
}
