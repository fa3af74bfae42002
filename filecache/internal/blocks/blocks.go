// Package blocks divides the bytes of an object into blocks, which are verified one by
// one, and computes their checksums.
package blocks

import (
	"sync"
	"sync/atomic"
)

// Small blocks make the first read of a part cheap. A limit of MaxCount blocks keeps an
// entry within about a page, so reading it costs the same for objects of any size.
const (
	MinSize  = 256 << 10
	MaxCount = 400
)

// MaxObject is much larger than any object, and small enough to avoid overflows.
const MaxObject = 1 << 50

// SizeFor returns the block size for an object of size bytes.
func SizeFor(size int64) int64 {
	b := int64(MinSize)
	for (size-1)/MaxCount >= b { // size > b*MaxCount, without overflow
		b *= 2
	}
	return b
}

// Count returns the number of blocks in size bytes.
func Count(size, blockSize int64) int {
	return int((size + blockSize - 1) / blockSize)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, MinSize); return &b }}

// GetBuffer returns a buffer of MinSize bytes. Pass it to PutBuffer after use.
func GetBuffer() *[]byte  { return buffers.Get().(*[]byte) }
func PutBuffer(b *[]byte) { buffers.Put(b) }

// A Set records which blocks of a file have been verified in this process. It is safe for
// concurrent use.
type Set struct {
	Since    int64       // no block was read earlier, Unix nanoseconds
	SHA256OK atomic.Bool // the SHA-256 of the whole file has been verified too

	bits []atomic.Uint64
}

// NewSet returns an empty Set for n blocks.
func NewSet(blocks int, since int64) *Set {
	return &Set{Since: since, bits: make([]atomic.Uint64, (blocks+63)/64)}
}

// Has reports whether block i has been verified.
func (s *Set) Has(i int) bool { return s.bits[i/64].Load()&(1<<(i%64)) != 0 }

// Add records that block i has been verified.
func (s *Set) Add(i int) { s.bits[i/64].Or(1 << (i % 64)) }
