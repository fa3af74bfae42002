package blocks

import (
	"encoding/binary"
	"hash/crc32"
)

// crc32Hash is a CRC-32 that can append the CRC of the bytes that follow. The standard
// library's cannot. See combine.go for the algorithm.
type crc32Hash struct {
	polynomial uint32 // bit-reversed, as in hash/crc32
	table      *crc32.Table
	crc        uint32
	size       int64
}

// NewCRC32 returns a CRC-32 that keeps a Digest Joinable. The polynomial is bit-reversed,
// as in hash/crc32.
func NewCRC32(polynomial uint32) Hash { return newCRC32(polynomial) }

func newCRC32(polynomial uint32) *crc32Hash {
	return &crc32Hash{polynomial: polynomial, table: crc32.MakeTable(polynomial)}
}

func (h *crc32Hash) Write(p []byte) (int, error) {
	h.crc = crc32.Update(h.crc, h.table, p)
	h.size += int64(len(p))
	return len(p), nil
}

func (h *crc32Hash) Sum(b []byte) []byte { return binary.BigEndian.AppendUint32(b, h.crc) }

// append sets h to the CRC of its bytes followed by next's.
func (h *crc32Hash) append(next *crc32Hash) {
	h.crc = h.multiply(h.crc, h.shiftBy(next.size)) ^ next.crc
	h.size += next.size
}

// shiftBy returns x^(8n) mod P.
func (h *crc32Hash) shiftBy(n int64) uint32 {
	p, square := uint32(1)<<31, uint32(1)<<(31-8) // x^0, x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			p = h.multiply(p, square)
		}
		square = h.multiply(square, square)
	}
	return p
}

// multiply returns a*b mod P.
func (h *crc32Hash) multiply(a, b uint32) (p uint32) {
	for ; a != 0; a <<= 1 {
		p ^= b & -(a >> 31)
		b = b>>1 ^ h.polynomial&-(b&1)
	}
	return p
}
