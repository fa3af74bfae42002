package filecache

import (
	"context"
	"runtime"
	"sync"

	"github.com/warmcache/warmcache/internal/cgroup"
	"github.com/warmcache/warmcache/internal/clock"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// maxInMemory is the size of the largest object held in memory if it does not fit on
// disk. Larger ones are read from the origin by ranges. maxMemory bounds all such objects
// together, as does a quarter of the memory that the container's limit leaves.
const (
	maxInMemory = 32 << 20
	maxMemory   = 2 * maxInMemory
)

// memory counts the bytes of objects that do not fit on disk.
type memory struct {
	clock *clock.Clock
	there *cgroup.Memory // of the container and the machine

	mu   sync.Mutex
	held int64
}

// take reserves n bytes and reports whether there was room.
func (m *memory) take(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held+n > min(maxMemory, m.there.There(m.held, m.clock.Now())/4) {
		return false
	}
	m.held += n
	return true
}

func (m *memory) give(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held -= n
}

// inMemory is an object that did not fit on disk. All Files of one download share it. Its
// bytes count from the download until the last File is closed, or until inMemory is
// unreachable if none was ever opened.
type inMemory struct {
	bytes []byte
	claim *claim
	files int // guarded by memory.mu
}

// claim is the reservation of an inMemory.
type claim struct {
	memory *memory
	bytes  int64 // guarded by memory.mu; zero once released
}

func (c *claim) end() {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	c.endLocked()
}

func (c *claim) endLocked() {
	c.memory.held -= c.bytes
	c.bytes = 0
}

// newInMemory takes ownership of b, whose bytes were reserved in m.
func newInMemory(m *memory, b []byte) *inMemory {
	o := &inMemory{bytes: b, claim: &claim{m, int64(len(b))}}
	runtime.AddCleanup(o, (*claim).end, o.claim)
	return o
}

// memoryFile reads an object in memory.
type memoryFile struct {
	cache *Cache
	*inMemory
}

func (c *Cache) newMemoryFile(b *inMemory) memoryFile {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	if b.files++; b.files == 1 && b.claim.bytes == 0 { // all earlier Files are closed
		b.claim.bytes = int64(len(b.bytes))
		c.memory.held += b.claim.bytes
	}
	return memoryFile{c, b}
}

func (m memoryFile) ReadAt(p []byte, off int64) (int, error) { return copy(p, m.bytes[off:]), nil }

func (m memoryFile) Close() error {
	mem := &m.cache.memory
	mem.mu.Lock()
	defer mem.mu.Unlock()
	if m.files--; m.files == 0 {
		m.claim.endLocked()
	}
	return nil
}

// remote reads an object by ranges that fits neither on disk nor in memory.
type remote struct {
	*transfer.Ranges
	cache *Cache
	held  int64 // bytes reserved in memory
}

// chunkSize bounds the read-ahead of such an object, and so the length of a range. It is
// large enough that the wait for the first byte does not dominate. If memory is short, it
// is blocks.MinSize.
const chunkSize = 8 << 20

func (c *Cache) newRemote(ctx context.Context, obj Object, what object) *remote {
	r := &remote{cache: c}
	size := int64(blocks.MinSize)
	if c.memory.take(chunkSize) {
		r.held, size = chunkSize, chunkSize
	}
	r.Ranges = transfer.NewRanges(ctx, c.version(obj, what), size)
	return r
}

func (r *remote) Close() error {
	r.cache.memory.give(r.held)
	return nil
}
