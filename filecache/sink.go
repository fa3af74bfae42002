package filecache

import (
	"errors"
	"sync"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// sink receives a download: in a draft on disk, or in memory if the disk fails. Parts may
// be written concurrently.
type sink struct {
	cache *Cache
	size  int64 // unknownSize until end is called

	mu     sync.RWMutex // shared by writers, but not while toMemory moves
	draft  *store.Draft
	memory []byte
	held   int64 // of the Cache's memory
	lost   bool  // the disk returned other bytes than were written
}

// unknownSize is the size of an object whose length is unknown until its end.
const unknownSize = store.UnknownSize

// errNoRoom reports that the bytes fit neither on disk nor in memory.
var errNoRoom = errors.New("neither disk nor memory has room")

func (c *Cache) newSink(size int64, keep bool) *sink {
	s := &sink{cache: c, size: size}
	if keep {
		s.draft = c.store.Create(size)
	}
	if s.draft == nil {
		s.toMemory()
	}
	return s
}

// full reports whether there is no room, neither on disk nor in memory.
func (s *sink) full() bool { return s.draft == nil && s.memory == nil }

// WriteAt writes p at off. If the disk fails, it continues in memory.
func (s *sink) WriteAt(p []byte, off int64) (int, error) {
	s.mu.RLock()
	d, err := s.draft, s.write(p, off)
	s.mu.RUnlock()
	if err == nil || d == nil {
		return len(p), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draft != nil { // otherwise it has been moved already
		s.toMemory()
	}
	return len(p), s.write(p, off)
}

// write writes p to the draft or to memory. The caller holds mu.
func (s *sink) write(p []byte, off int64) error {
	switch {
	case s.draft != nil:
		_, err := s.draft.WriteAt(p, off)
		return err
	case s.memory != nil && s.size >= 0:
		copy(s.memory[off:], p)
		return nil
	case s.memory != nil && s.hold(off+int64(len(p))): // there is one writer
		s.memory = append(s.memory[:off], p...)
		return nil
	}
	return errNoRoom
}

// hold reserves memory for size bytes in all. It reports whether there was room.
func (s *sink) hold(size int64) bool {
	if size > maxInMemory || size > s.held && !s.cache.memory.take(size-s.held) {
		return false
	}
	s.held = max(s.held, size)
	return true
}

// end ends a download of unknown size.
func (s *sink) end(size int64) {
	s.size = size
	if s.draft != nil {
		s.draft.End(size)
	}
}

// toMemory moves the draft's bytes to memory, if possible.
func (s *sink) toMemory() {
	d := s.draft
	s.draft = nil
	if d != nil {
		defer d.Close()
	}
	size := s.size
	if d != nil && size < 0 {
		size = d.Written()
	}
	if !s.hold(max(0, size)) {
		return
	}
	b := make([]byte, max(0, size))
	if d != nil && !d.ReadBack(b) {
		s.release()
		s.lost = true
		return
	}
	s.memory = b
}

// handOver returns the object in memory, with its reservation.
func (s *sink) handOver() *inMemory {
	b := newInMemory(&s.cache.memory, s.memory)
	s.cache.memory.give(s.held - int64(len(s.memory)))
	s.memory, s.held = nil, 0
	return b
}

// takeDraft removes the draft from s and returns it, or nil if the bytes are in memory.
func (s *sink) takeDraft() *store.Draft {
	d := s.draft
	s.draft = nil
	return d
}

func (s *sink) close() {
	if s.draft != nil {
		s.draft.Close()
	}
	s.release()
}

// release releases the reserved memory.
func (s *sink) release() {
	s.cache.memory.give(s.held)
	s.held = 0
}
