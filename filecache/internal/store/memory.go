package store

import (
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// memory knows how much a copy on a file system made of memory may take of the memory
// that the process's container or machine has.
type memory struct {
	left func() (bytes int64, ok bool)

	mu    sync.Mutex
	read  bool
	at    clock.Instant
	there int64 // what was left then, and what the Store used
}

// memoryAge is how long a reading of the memory limit is relied on.
const memoryAge = time.Second

// share returns the memory that is left, and what the Store uses of it.
func (m *memory) share(used int64, c *clock.Clock) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := c.Now(); !m.read || !m.at.Within(memoryAge, now) {
		m.read, m.at, m.there = true, now, unlimited
		if left, ok := m.left(); ok {
			m.there = used + left
		}
	}
	return m.there
}
