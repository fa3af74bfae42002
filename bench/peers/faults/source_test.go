package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
)

// objectSize is the size of every object: many blocks of a file system.
const objectSize = 256 << 10

// source is the origin of all libraries: two objects, "a" and "b".
type source struct {
	mu      sync.Mutex
	objects map[string][]byte
	fetches int
	half    func() error // instead of the second half of a body
}

func newSource() *source {
	return &source{objects: map[string][]byte{"a": content(1), "b": content(2)}}
}

func content(seed byte) []byte {
	b := make([]byte, objectSize)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func (s *source) put(key string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[key] = b
}

// get returns the current content of an object and its ETag.
func (s *source) get(key string) ([]byte, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.objects[key]
	return b, fmt.Sprintf(`"%x"`, b[:8])
}

// fetch returns a body.
func (s *source) fetch(key string) io.Reader {
	b, _ := s.get(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetches++
	if s.half == nil {
		return bytes.NewReader(b)
	}
	return io.MultiReader(bytes.NewReader(b[:len(b)/2]), readerFunc(s.half))
}

func (s *source) fetched() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

// errBroken is the error of a broken connection.
var errBroken = errors.New("connection reset")

type readerFunc func() error

func (f readerFunc) Read([]byte) (int, error) { return 0, f() }
