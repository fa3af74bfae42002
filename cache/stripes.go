package cache

import (
	"math/bits"
	"runtime"
	"sync"
	"unsafe"
)

// stripes is a lock for many readers: a reader locks one stripe, a writer locks all.
// With a sync.RWMutex all readers write to the same word, which costs them more than
// the lookup in the map when there are several.
type stripes []stripe

type stripe struct {
	sync.Mutex
	hits int64
	_    [112]byte // two cache lines, since processors fetch them in pairs
}

// newStripes returns enough stripes that goroutines on different processors rarely
// share one. On a single processor one is best.
func newStripes() stripes {
	n := 1
	if p := runtime.GOMAXPROCS(0); p > 1 {
		n = min(4<<bits.Len(uint(p-1)), 64)
	}
	return make(stripes, n)
}

// mine returns the stripe of this goroutine, chosen by the address of its stack. Any
// other stripe would be correct, but slower.
func (s stripes) mine() *stripe {
	var here byte
	h := uint64(uintptr(unsafe.Pointer(&here))>>11) * 0x9E3779B97F4A7C15 >> 32
	return &s[h&uint64(len(s)-1)]
}

// Lock locks all stripes.
func (s stripes) Lock() {
	for i := range s {
		s[i].Lock()
	}
}

// Unlock unlocks all stripes.
func (s stripes) Unlock() {
	for i := range s {
		s[i].Unlock()
	}
}

// hits returns the sum over the stripes. The caller holds all.
func (s stripes) hits() (n int64) {
	for i := range s {
		n += s[i].hits
	}
	return n
}
