package filecache

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash/crc32"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

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

// newHash returns a constructor for the hash of a, which is nil for CRC64NVME. ok is
// false for an unknown algorithm.
func (a Algorithm) newHash() (func() blocks.Hash, bool) {
	switch a {
	case CRC64NVME:
		return nil, true
	case CRC32:
		return func() blocks.Hash { return blocks.NewCRC32(crc32.IEEE) }, true
	case CRC32C:
		return func() blocks.Hash { return blocks.NewCRC32(crc32.Castagnoli) }, true
	case SHA1:
		return func() blocks.Hash { return sha1.New() }, true
	case SHA256:
		return func() blocks.Hash { return sha256.New() }, true
	}
	return nil, false
}

// usable returns the checksums with a known algorithm.
func usable(sums []Checksum) []Checksum {
	var known []Checksum
	for _, c := range sums {
		if _, ok := c.Algorithm.newHash(); ok {
			known = append(known, c)
		}
	}
	return known
}

// expected converts sums for a Digest.
func expected(sums []Checksum) []blocks.Expected {
	var want []blocks.Expected
	for _, c := range sums {
		if hash, ok := c.Algorithm.newHash(); ok {
			want = append(want, blocks.Expected{Name: c.Algorithm.String(), New: hash, Sum: c.Sum})
		}
	}
	return want
}
