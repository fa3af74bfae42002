package blocks

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/minio/crc64nvme"
)

// everySum returns all kinds of checksums of b; the first three are CRCs.
func everySum(b []byte) []Expected {
	crc32Of := func(name string, polynomial uint32) Expected {
		sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(polynomial)))
		return Expected{name, func() Hash { return NewCRC32(polynomial) }, sum}
	}
	s1, s256 := sha1.Sum(b), sha256.Sum256(b)
	return []Expected{
		{"CRC64NVME", nil, binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(b))},
		crc32Of("CRC32", crc32.IEEE),
		crc32Of("CRC32C", crc32.Castagnoli),
		{"SHA1", func() Hash { return sha1.New() }, s1[:]},
		{"SHA256", func() Hash { return sha256.New() }, s256[:]},
	}
}

// Appending the Digests of parts yields the Digest of the whole.
func TestAppendedDigestsAreThatOfTheWhole(t *testing.T) {
	b := randomBytes(5*MinSize + 123)
	sums := everySum(b)[:3]
	all, joined := NewDigest(int64(len(b)), sums), NewDigest(int64(len(b)), sums)
	all.Write(b)
	for part := range slices.Chunk(b, 2*MinSize) {
		next := joined.Part(int64(len(part)))
		next.Write(part)
		joined.Append(next)
	}
	if err := joined.Verify(); err != nil || !slices.Equal(joined.Blocks, all.Blocks) || joined.Done() != all.Done() {
		t.Errorf("Verify = %v, %d blocks, %d bytes", err, len(joined.Blocks), joined.Done())
	}
}

func TestVerifyFindsWrongBytes(t *testing.T) {
	b := randomBytes(MinSize + 123)
	for _, want := range everySum(b) {
		good := NewDigest(int64(len(b)), []Expected{want})
		good.Write(b)
		if err := good.Verify(); err != nil {
			t.Error(err)
		}
		wrong := slices.Clone(b)
		wrong[len(b)-1]++
		bad := NewDigest(int64(len(b)), []Expected{want})
		bad.Write(wrong)
		if err := bad.Verify(); !errors.Is(err, ErrChecksum) {
			t.Errorf("%s: %v", want.Name, err)
		}
	}
}

func TestOnlyCRCsAreJoinable(t *testing.T) {
	for i, s := range everySum(nil) {
		if got, want := NewDigest(0, []Expected{s}).Joinable(), i < 3; got != want {
			t.Errorf("%s: %v", s.Name, got)
		}
	}
}

func TestBlocksAreFewAndTheirSizeIsKnown(t *testing.T) {
	for _, size := range []int64{0, 1, MinSize, 1 << 30, 5 << 40, MaxObject} {
		if n := Count(size, SizeFor(size)); n > MaxCount {
			t.Errorf("%d bytes have %d blocks", size, n)
		}
	}
}

// A Digest of unknown size ends up equal to one of known size.
func TestFit(t *testing.T) {
	for _, size := range []int64{0, 1, MinSize, MinSize + 1, 400 * MinSize, 400*MinSize + 1, 801*MinSize + 5, 1603 * MinSize} {
		known, unknown := NewDigest(size, nil), NewDigest(0, nil)
		p := make([]byte, MinSize+77)
		for i := range p {
			p[i] = byte(i * i)
		}
		for left := size; left > 0; {
			p := p[:min(left, int64(len(p)))]
			known.Write(p)
			unknown.Write(p)
			left -= int64(len(p))
		}
		unknown.Fit()
		if unknown.BlockSize != known.BlockSize || unknown.Whole() != known.Whole() || !slices.Equal(unknown.Blocks, known.Blocks) {
			t.Errorf("%d bytes: blocks of %d, want %d, or their checksums differ", size, unknown.BlockSize, known.BlockSize)
		}
	}
}
