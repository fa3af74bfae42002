package clock

import (
	"sync"
	"sync/atomic"
)

// Virtual is the time and the source of random numbers of a simulated process.
type Virtual struct {
	Now    func() Instant
	Random func() float64 // in [0,1)
}

var (
	virtual atomic.Pointer[Virtual] // New makes Clocks of it; nil: real ones
	making  sync.Mutex              // held while it is set
)

// Make calls f. The Clocks that New makes meanwhile, in any goroutine, stay v's. It is
// for simulations with many processes in one, whose objects f makes.
func (v *Virtual) Make(f func()) {
	making.Lock()
	defer making.Unlock()
	virtual.Store(v)
	defer virtual.Store(nil)
	f()
}

// Float64 returns a random number in [0,1).
func (c *Clock) Float64() float64 {
	if c.random != nil {
		return c.random()
	}
	return float64(randomUint64()>>11) / (1 << 53)
}

// Uint64 returns a random number that is not zero.
func (c *Clock) Uint64() uint64 {
	if c.random != nil {
		return uint64(c.random()*(1<<63)) | 1
	}
	return randomUint64() | 1
}
