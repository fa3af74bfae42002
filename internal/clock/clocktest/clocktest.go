// Package clocktest moves the two clocks of a process apart, which
// testing/synctest cannot: there they always move together.
package clocktest

import (
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// Clocks are a wall and a monotonic clock that stand still until moved.
type Clocks struct {
	mu  sync.Mutex
	now clock.Instant
}

// New returns clocks that show the present time.
func New() *Clocks {
	return &Clocks{now: clock.Instant{Wall: time.Now().UnixNano()}}
}

// Clock returns the clock to hand to the code under test.
func (c *Clocks) Clock() *clock.Clock { return clock.NewFake(c.Now) }

// Now is the present reading.
func (c *Clocks) Now() clock.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Move moves each clock by its own step; a negative one moves it back.
func (c *Clocks) Move(wall, mono time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Wall += int64(wall)
	c.now.Mono += int64(mono)
}
