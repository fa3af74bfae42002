package blocks

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

func TestCRC32OfPartsIsThatOfTheWhole(t *testing.T) {
	b := randomBytes(100_000)
	for _, polynomial := range []uint32{crc32.IEEE, crc32.Castagnoli} {
		for range 200 {
			size, part := rand.IntN(len(b)+1), 1+rand.IntN(20_000)
			all := newCRC32(polynomial)
			for at := 0; at < size; at += part {
				next := newCRC32(polynomial)
				next.Write(b[at:min(at+part, size)])
				all.append(next)
			}
			if want := crc32.Checksum(b[:size], crc32.MakeTable(polynomial)); all.crc != want {
				t.Fatalf("%x: %d bytes in parts of %d: %x, want %x", polynomial, size, part, all.crc, want)
			}
		}
	}
}
