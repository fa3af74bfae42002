package filecache

import (
	"errors"
	"sync"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// sink is where a download goes: a draft on disk, or memory when the disk fails. Its
// parts may be written at the same time.
type sink struct {
	cache *Cache
	size  int64 // unknownSize until end is called

	mu     sync.RWMutex // shared by writers, but not while toMemory moves
	draft  *store.Draft
	memory []byte
	held   int64 // of the Cache's memory
	lost   bool  // the disk did not give back what it had
}

// unknownSize is the size of an object whose length is known only at its end.
const unknownSize = store.UnknownSize

// errNoRoom is the error of a sink that can take the bytes nowhere.
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

// full reports whether there is room nowhere.
func (s *sink) full() bool { return s.draft == nil && s.memory == nil }

// WriteAt takes the bytes from off on. If the disk fails, it goes on in memory.
func (s *sink) WriteAt(p []byte, off int64) (int, error) {
	s.mu.RLock()
	d, err := s.draft, s.write(p, off)
	s.mu.RUnlock()
	if err == nil || d == nil {
		return len(p), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draft != nil { // else it was moved meanwhile
		s.toMemory()
	}
	return len(p), s.write(p, off)
}

// write writes to where the download goes now. The caller holds mu.
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

// hold takes memory for size bytes in all, and reports whether it may be used.
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

// toMemory goes on in memory, with what the draft has so far, if that can be.
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

// handOver returns what is in memory, with the room that it takes.
func (s *sink) handOver() *inMemory {
	b := newInMemory(&s.cache.memory, s.memory)
	s.cache.memory.give(s.held - int64(len(s.memory)))
	s.memory, s.held = nil, 0
	return b
}

// takeDraft takes the draft out of s, or returns nil if the download went on in memory.
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

// release gives back the memory.
func (s *sink) release() {
	s.cache.memory.give(s.held)
	s.held = 0
}
