package filecache

import (
	"context"
	"sync"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// maxInMemory is the largest object that is held in memory when the disk cannot
// take it. Larger ones are read from the origin by ranges. maxMemory bounds what
// is held in all.
const (
	maxInMemory = 32 << 20
	maxMemory   = 2 * maxInMemory
)

// memory counts what is held of objects that the disk does not take.
type memory struct {
	mu   sync.Mutex
	held int64
}

// take reports whether there is room for n bytes, and takes it.
func (m *memory) take(n int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held+n > maxMemory {
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
// share it.
type inMemory struct {
	bytes []byte
	files int // guarded by memory.mu
}

// memoryFile reads an object in memory.
type memoryFile struct {
	cache *Cache
	*inMemory
}

func (c *Cache) newMemoryFile(b *inMemory) memoryFile {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	if b.files++; b.files == 1 {
		c.memory.held += int64(len(b.bytes))
	}
	return memoryFile{c, b}
}

func (m memoryFile) ReadAt(p []byte, off int64) (int, error) { return copy(p, m.bytes[off:]), nil }

func (m memoryFile) Close() error {
	mem := &m.cache.memory
	mem.mu.Lock()
	defer mem.mu.Unlock()
	if m.files--; m.files == 0 {
		mem.held -= int64(len(m.bytes))
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
