package blocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/minio/crc64nvme"
)

// ErrChecksum means that bytes do not match an expected checksum.
var ErrChecksum = errors.New("the bytes from the origin do not match its checksum")

// Expected is a checksum that the bytes must match.
type Expected struct {
	Name string      // of the algorithm, for error messages
	New  func() Hash // nil for CRC-64/NVME, which a Digest computes anyway
	Sum  []byte
}

// A Digest computes checksums of the bytes written to it in order: the CRC-64/NVME of
// each block and of the whole, and the expected checksums.
type Digest struct {
	BlockSize int64
	Blocks    []uint64 // the CRC-64/NVME of each block so far

	done     int64 // bytes written
	expected []expected
}

type expected struct {
	Expected
	hash Hash // nil for CRC-64/NVME
}

// NewDigest returns a Digest for an object of size bytes.
func NewDigest(size int64, want []Expected) *Digest {
	return newDigest(size, SizeFor(size), want)
}

func newDigest(size, blockSize int64, want []Expected) *Digest {
	d := &Digest{BlockSize: blockSize, Blocks: make([]uint64, 0, Count(size, blockSize))}
	for _, w := range want {
		e := expected{Expected: w}
		if w.New != nil {
			e.hash = w.New()
		}
		d.expected = append(d.expected, e)
	}
	return d
}

// Part returns a Digest for a part of the object, of size bytes.
func (d *Digest) Part(size int64) *Digest {
	want := make([]Expected, len(d.expected))
	for i, e := range d.expected {
		want[i] = e.Expected
	}
	return newDigest(size, d.BlockSize, want)
}

// Write adds p. It never fails.
func (d *Digest) Write(p []byte) (int, error) {
	n := len(p)
	for _, e := range d.expected {
		if e.hash != nil {
			e.hash.Write(p)
		}
	}
	for len(p) > 0 {
		if d.done%d.BlockSize == 0 {
			d.Blocks = append(d.Blocks, 0)
		}
		m := min(int64(len(p)), d.BlockSize-d.done%d.BlockSize)
		last := &d.Blocks[len(d.Blocks)-1]
		*last = crc64nvme.Update(*last, p[:m])
		d.done += m
		p = p[m:]
	}
	return n, nil
}

// Done returns the number of bytes written.
func (d *Digest) Done() int64 { return d.done }

// Joinable reports whether the Digests of parts can be appended to each other. This is
// possible for CRCs only: SHA-1 and SHA-256 need the bytes in order.
func (d *Digest) Joinable() bool {
	for _, e := range d.expected {
		if _, ok := e.hash.(*crc32Hash); e.hash != nil && !ok {
			return false
		}
	}
	return true
}

// Append adds the bytes of next, which must be a Part of the same object. The bytes
// written so far must be whole blocks.
func (d *Digest) Append(next *Digest) {
	d.done += next.done
	d.Blocks = append(d.Blocks, next.Blocks...)
	for i, e := range d.expected {
		if e.hash != nil {
			e.hash.(*crc32Hash).append(next.expected[i].hash.(*crc32Hash))
		}
	}
}

// Whole returns the CRC-64/NVME of all bytes so far.
func (d *Digest) Whole() uint64 {
	return combined(d.Blocks, d.BlockSize, d.done)
}

// Verify compares the expected checksums with those of the bytes. The error matches
// ErrChecksum.
func (d *Digest) Verify() error {
	for _, e := range d.expected {
		got := binary.BigEndian.AppendUint64(nil, d.Whole())
		if e.hash != nil {
			got = e.hash.Sum(nil)
		}
		if !bytes.Equal(got, e.Sum) {
			return fmt.Errorf("%w: %s is %x, expected %x", ErrChecksum, e.Name, got, e.Sum)
		}
	}
	return nil
}

// Fit merges blocks to the block size for an object of the written length. It is for a
// Digest that was created with an unknown size.
func (d *Digest) Fit() {
	for d.BlockSize < SizeFor(d.done) {
		merged := d.Blocks[:0]
		for i := range (len(d.Blocks) + 1) / 2 {
			pair := d.Blocks[2*i : min(2*i+2, len(d.Blocks))]
			start := int64(2*i) * d.BlockSize
			merged = append(merged, combined(pair, d.BlockSize, min(2*d.BlockSize, d.done-start)))
		}
		d.Blocks, d.BlockSize = merged, 2*d.BlockSize
	}
}
