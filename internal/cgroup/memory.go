package cgroup

import (
	"math"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// A Memory tells a cache how much memory it may share in. It reads the limits at most
// once a second. It is safe for concurrent use.
type Memory struct {
	// Left is MemoryLeft, or what a test has instead.
	Left func() (bytes int64, ok bool)

	mu    sync.Mutex
	at    clock.Instant
	there int64 // what was left then, and what the cache held; zero: it was never read
}

// readEvery is how long a reading of the limits is relied on.
const readEvery = time.Second

// NewMemory returns a Memory of the system.
func NewMemory() *Memory { return &Memory{Left: MemoryLeft} }

// There returns how much memory there is for a cache that holds so much: what is left,
// and what it holds. Without a limit, that is more than any machine has.
func (m *Memory) There(held int64, now clock.Instant) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.there == 0 || !m.at.Within(readEvery, now) {
		m.at, m.there = now, math.MaxInt64/4
		if left, ok := m.Left(); ok {
			m.there = max(1, held+left)
		}
	}
	return m.there
}
