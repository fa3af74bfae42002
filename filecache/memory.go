package filecache

import "sync"

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
