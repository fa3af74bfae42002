package filecache

import (
	"sync"
	"sync/atomic"
)

// forgets numbers the calls of Forget and Clear, so that a Value can tell with one
// load whether there was any since it parsed.
//
// It cannot use the clocks, as copies do across processes: they may stand still or run
// back, and a Get that starts after a Forget must not see what is older.
type forgets struct {
	number atomic.Uint64 // of the last call; written under mu

	mu   sync.Mutex
	keys map[ID]uint64 // the last Forget of each object
	all  uint64        // the last Clear, or a Forget that keys does not have any more
}

// maxForgets bounds the memory for that.
const maxForgets = 1024

// add must be called after the copy of id is removed: bytes that are fetched between
// the two are then parsed once more, which costs only time.
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

// last returns the number of the last call that forgot id, or what it is derived from.
func (f *forgets) last(id ID) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	last := f.all
	id.sources(func(id ID) { last = max(last, f.keys[id]) })
	return last
}
