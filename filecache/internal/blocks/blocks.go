// Package blocks says how the bytes of an object are cut into blocks, which are
// verified one by one, and computes their checksums.
package blocks

import (
	"sync"
	"sync/atomic"
)

// Small blocks make the first read of a part cheap. At most MaxCount of them keep
// the entry of an object within a page or so, so reading it costs the same at any
// size.
const (
	MinSize  = 256 << 10
	MaxCount = 400
)

// MaxObject is far beyond the size of any object, and small enough to calculate with.
const MaxObject = 1 << 50

// SizeFor returns the block size for an object of size bytes.
func SizeFor(size int64) int64 {
	b := int64(MinSize)
	for (size-1)/MaxCount >= b { // size > b*MaxCount, but without overflow
		b *= 2
	}
	return b
}

// Count returns how many blocks size bytes have.
func Count(size, blockSize int64) int {
	return int((size + blockSize - 1) / blockSize)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, MinSize); return &b }}

// GetBuffer returns a buffer of MinSize bytes. PutBuffer takes it back.
func GetBuffer() *[]byte  { return buffers.Get().(*[]byte) }
func PutBuffer(b *[]byte) { buffers.Put(b) }

// A Set remembers which blocks of a file have been verified in this process. It is
// safe for concurrent use.
type Set struct {
	Since    int64       // when the first of them may have been read, Unix nanoseconds
	SHA256OK atomic.Bool // the whole file is verified by its SHA-256, too

	bits []atomic.Uint64
}

// NewSet returns an empty Set for that many blocks.
func NewSet(blocks int, since int64) *Set {
	return &Set{Since: since, bits: make([]atomic.Uint64, (blocks+63)/64)}
}

// Has reports whether block i has been verified.
func (s *Set) Has(i int) bool { return s.bits[i/64].Load()&(1<<(i%64)) != 0 }

// Add notes that block i has been verified.
func (s *Set) Add(i int) { s.bits[i/64].Or(1 << (i % 64)) }
