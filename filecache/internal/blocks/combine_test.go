package blocks

import (
	"math/rand/v2"
	"testing"

	"github.com/minio/crc64nvme"
)

func TestCombinedIsTheWhole(t *testing.T) {
	b := randomBytes(100_000)
	for range 200 {
		size, block := rand.Int64N(int64(len(b)+1)), 1+rand.Int64N(20_000)
		var blocks []uint64
		for at := int64(0); at < size; at += block {
			blocks = append(blocks, crc64nvme.Checksum(b[at:min(at+block, size)]))
		}
		if got, want := combined(blocks, block, size), crc64nvme.Checksum(b[:size]); got != want {
			t.Fatalf("%d bytes in blocks of %d: %x, want %x", size, block, got, want)
		}
	}
}

// A hundred megabytes.
func BenchmarkCombined(b *testing.B) {
	blocks := make([]uint64, MaxCount)
	for i := range blocks {
		blocks[i] = rand.Uint64()
	}
	for b.Loop() {
		combined(blocks, MinSize, MaxCount*MinSize)
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{3}).Read(b)
	return b
}
