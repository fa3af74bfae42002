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

// maxInMemory is the largest object that is held in memory when the disk cannot
// take it. Larger ones are read from the origin by ranges. maxMemory bounds what
// is held in all, as does a quarter of the memory that the container's limit leaves.
const (
	maxInMemory = 32 << 20
	maxMemory   = 2 * maxInMemory
)

// memory counts what is held of objects that the disk does not take.
type memory struct {
	clock *clock.Clock
	there *cgroup.Memory // that the container and the machine have

	mu   sync.Mutex
	held int64
}

// take reports whether there is room for n bytes, and takes it.
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

// inMemory is an object that found no room on disk. All Files of one download
// share it. Its bytes count from the download on until the last File is closed, or, if
// none was ever open, until nobody can open one any more.
type inMemory struct {
	bytes []byte
	claim *claim
	files int // guarded by memory.mu
}

// claim is what an inMemory has of the memory for such objects.
type claim struct {
	memory *memory
	bytes  int64 // guarded by memory.mu; zero when it was given back
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

// newInMemory takes over b, whose bytes were taken from m.
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
	if b.files++; b.files == 1 && b.claim.bytes == 0 { // all others were closed before
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

// remote reads an object that fits neither the disk nor memory by ranges.
type remote struct {
	*transfer.Ranges
	cache *Cache
	held  int64 // of the memory for such objects
}

// chunkSize is the memory for what is read ahead of such an object, and so the longest
// range: enough that the wait for its first byte does not dominate. Where memory is
// short it is blocks.MinSize.
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
