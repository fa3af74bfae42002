package blocks

// The CRC of two concatenated pieces follows from the CRCs of the pieces:
//
//	crc(a b) = crc(a) * x^(8*len(b)) mod P  xor  crc(b)
//
// Polynomials are bit-reversed, like the CRC: the highest bit is the coefficient of x^0.

const nvmePolynomial = 0x9a6c9329ac4bc9b5

// combined returns the CRC-64/NVME of size bytes from the CRCs of their blocks.
func combined(blocks []uint64, blockSize, size int64) (crc uint64) {
	switch len(blocks) {
	case 0:
		return 0
	case 1:
		return blocks[0]
	}
	last := len(blocks) - 1
	f := newFactor(shiftBy(blockSize))
	for _, b := range blocks[:last] {
		crc = f.times(crc) ^ b
	}
	return multiply(crc, shiftBy(size-int64(last)*blockSize)) ^ blocks[last]
}

// factor is a polynomial for many multiplications: its products with x^0, x^1, x^2 ...
type factor [64]uint64

func newFactor(p uint64) (f factor) {
	for i := range f {
		f[i] = p
		p = timesX(p)
	}
	return f
}

// times returns f*a mod P, like multiply. Unlike there, no step depends on the one
// before.
func (f *factor) times(a uint64) (p uint64) {
	for i := range f {
		p ^= f[i] & -(a >> 63)
		a <<= 1
	}
	return p
}

// shiftBy returns x^(8n) mod P, the factor for n bytes that follow.
func shiftBy(n int64) uint64 {
	p, square := uint64(1)<<63, uint64(1)<<(63-8) // x^0, x^8
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			p = multiply(p, square)
		}
		square = multiply(square, square)
	}
	return p
}

// multiply returns a*b mod P.
func multiply(a, b uint64) (p uint64) {
	for ; a != 0; a <<= 1 {
		p ^= b & -(a >> 63)
		b = timesX(b)
	}
	return p
}

func timesX(p uint64) uint64 { return p>>1 ^ nvmePolynomial&-(p&1) }
