package cgroup

import (
	"math"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// A Memory computes how much memory a cache may use. It reads the limits at most once a
// second. It is safe for concurrent use.
type Memory struct {
	// Left is MemoryLeft, except in tests.
	Left func() (bytes int64, ok bool)

	mu    sync.Mutex
	at    clock.Instant
	there int64 // memory left plus memory held at the last reading; zero before the first
}

// readEvery is the minimum time between two readings of the limits.
const readEvery = time.Second

// NewMemory returns a Memory that reads the system's limits.
func NewMemory() *Memory { return &Memory{Left: MemoryLeft} }

// There returns the memory available to a cache that holds that much: the memory left,
// plus held. Without a limit, it exceeds the memory of any machine.
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
