package transfer

import (
	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// Parts records which bytes of a version have been received. Only one Receive may use it
// at a time.
type Parts struct {
	size     int64
	partSize int64
	sum      *blocks.Digest   // of the whole object, once it is complete
	sums     []*blocks.Digest // of the received bytes of each part
}

// NewParts returns the Parts of v, each of partSize bytes rounded up to whole blocks.
// want has the checksums of the whole object. There is only one part if the object is
// small, if versions cannot be told apart, or if a checksum must be computed in order.
func NewParts(v Version, want []blocks.Expected, partSize int64) *Parts {
	p := &Parts{size: v.Size, sum: blocks.NewDigest(max(0, v.Size), want)}
	p.partSize = roundUp(partSize, p.sum.BlockSize)
	if v.Part == nil || p.size/2 < p.partSize || !p.sum.Joinable() {
		p.partSize = p.size
		if p.size < 0 {
			p.partSize = blocks.MaxObject
		}
		p.sums = []*blocks.Digest{p.sum}
		return p
	}
	for off := int64(0); off < p.size; off += p.partSize {
		p.sums = append(p.sums, p.sum.Part(min(p.partSize, p.size-off)))
	}
	return p
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// Done returns how many bytes have been received.
func (p *Parts) Done() (n int64) {
	for _, s := range p.sums {
		n += s.Done()
	}
	return n
}

// Next returns the bounds of the first missing range.
func (p *Parts) Next() (off, end int64) {
	i := 0
	for i < len(p.sums)-1 && p.at(i).complete() {
		i++
	}
	first := p.at(i)
	off = first.off + first.sum.Done()
	for i++; i < len(p.sums) && p.sums[i].Done() == 0; i++ {
	}
	if i == len(p.sums) {
		return off, p.size
	}
	return off, p.at(i).off
}

// Digest returns the checksums of the object. All bytes must have been received.
func (p *Parts) Digest() *blocks.Digest {
	if len(p.sums) > 1 {
		for _, s := range p.sums {
			p.sum.Append(s)
		}
		p.sums = p.sums[:0]
	}
	if p.size < 0 {
		p.sum.Fit()
	}
	return p.sum
}

// part is one part of Parts.
type part struct {
	off, length int64
	sum         *blocks.Digest // of the bytes received so far
}

func (p *Parts) at(i int) *part {
	off := int64(i) * p.partSize
	length := p.partSize
	if p.size >= 0 {
		length = min(length, p.size-off)
	}
	return &part{off, length, p.sums[i]}
}

func (p *part) end() int64     { return p.off + p.length }
func (p *part) next() int64    { return p.off + p.sum.Done() }
func (p *part) complete() bool { return p.sum.Done() == p.length }
