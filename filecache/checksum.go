package filecache

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/minio/crc64nvme"
)

// blockSizes: a block is what is verified at once. Small ones make the first
// read of a part cheap, and at most maxBlocks of them keep the entry of an object
// within a page or so, so that reading it costs the same at any size.
const (
	minBlockSize = 256 << 10
	maxBlocks    = 400
)

// blockSizeFor returns the block size for an object of size bytes.
func blockSizeFor(size int64) int64 {
	b := int64(minBlockSize)
	for (size-1)/maxBlocks >= b { // size > b*maxBlocks, but without overflow
		b *= 2
	}
	return b
}

// blockCount returns how many blocks size bytes have.
func blockCount(size, blockSize int64) int {
	return int((size + blockSize - 1) / blockSize)
}

// A summer computes everything that is known about bytes that pass by in order:
// the CRC-64/NVME of each block and of the whole, and what the origin announced.
type summer struct {
	blockSize int64
	done      int64 // bytes seen
	blocks    []uint64
	announced []announced
}

type announced struct {
	Checksum
	hash hasher // nil for CRC64NVME, which is computed anyway
}

// hasher is the part of hash.Hash that is used.
type hasher interface {
	io.Writer
	Sum([]byte) []byte
}

func newSummer(size int64, sums []Checksum) *summer {
	b := blockSizeFor(size)
	s := &summer{blockSize: b, blocks: make([]uint64, 0, blockCount(size, b))}
	for _, c := range sums {
		if h, ok := newHash(c.Algorithm); ok {
			s.announced = append(s.announced, announced{c, h})
		}
	}
	return s
}

// part returns a summer for a part of the same object, of size bytes.
func (s *summer) part(size int64) *summer {
	p := &summer{blockSize: s.blockSize, blocks: make([]uint64, 0, blockCount(size, s.blockSize))}
	for _, a := range s.announced {
		if a.hash != nil {
			a.hash, _ = newHash(a.Algorithm)
		}
		p.announced = append(p.announced, a)
	}
	return p
}

// newHash returns the hash of an algorithm, and whether it is known at all.
func newHash(a Algorithm) (hasher, bool) {
	switch a {
	case CRC64NVME:
		return nil, true
	case CRC32:
		return newCRC32(crc32.IEEE), true
	case CRC32C:
		return newCRC32(crc32.Castagnoli), true
	case SHA1:
		return sha1.New(), true
	case SHA256:
		return sha256.New(), true
	}
	return nil, false
}

// Write takes the next bytes.
func (s *summer) Write(p []byte) (int, error) {
	n := len(p)
	for _, a := range s.announced {
		if a.hash != nil {
			a.hash.Write(p)
		}
	}
	for len(p) > 0 {
		if s.done%s.blockSize == 0 {
			s.blocks = append(s.blocks, 0)
		}
		m := min(int64(len(p)), s.blockSize-s.done%s.blockSize)
		last := &s.blocks[len(s.blocks)-1]
		*last = crc64nvme.Update(*last, p[:m])
		s.done += m
		p = p[m:]
	}
	return n, nil
}

// joins reports whether summers of parts can be joined. Only CRCs can: a SHA-1 or
// SHA-256 needs the bytes in their order.
func (s *summer) joins() bool {
	for _, a := range s.announced {
		if _, ok := a.hash.(*crc32Hash); a.hash != nil && !ok {
			return false
		}
	}
	return true
}

// join takes what next knows of the bytes that follow. All so far must be whole
// blocks, of the same size.
func (s *summer) join(next *summer) {
	s.done += next.done
	s.blocks = append(s.blocks, next.blocks...)
	for i, a := range s.announced {
		if a.hash != nil {
			a.hash.(*crc32Hash).join(next.announced[i].hash.(*crc32Hash))
		}
	}
}

// whole returns the CRC-64/NVME of all bytes so far.
func (s *summer) whole() uint64 {
	return combined(s.blocks, s.blockSize, s.done)
}

// verify compares what passed by with what the origin announced.
func (s *summer) verify() error {
	for _, a := range s.announced {
		got := appendUint64(nil, s.whole())
		if a.hash != nil {
			got = a.hash.Sum(nil)
		}
		if !bytes.Equal(got, a.Sum) {
			return fmt.Errorf("%w: %v is %x, expected %x", ErrChecksum, a.Algorithm, got, a.Sum)
		}
	}
	return nil
}

// String returns the name of the constant, such as "CRC64NVME".
func (a Algorithm) String() string {
	switch a {
	case CRC64NVME:
		return "CRC64NVME"
	case CRC32:
		return "CRC32"
	case CRC32C:
		return "CRC32C"
	case SHA1:
		return "SHA1"
	case SHA256:
		return "SHA256"
	}
	return fmt.Sprintf("Algorithm(%d)", uint8(a))
}
