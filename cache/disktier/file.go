package disktier

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// A file is the record with a head that says when it was written, by both clocks,
// and under which epoch:
//
//	magic and version   4 bytes
//	epoch               16 bytes
//	boot                16 bytes: which one the monotonic clock is of, or zero
//	mono                8 bytes: nanoseconds
//	wall                8 bytes: nanoseconds since the Unix epoch
//	ttl                 8 bytes: nanoseconds
//	checksum            4 bytes: CRC-32C of all before
//
// Numbers are little-endian. The record has a checksum of its own.
const (
	magic    = "wcd\x01"
	headSize = len(magic) + epochSize + 16 + 8 + 8 + 8 + crc32.Size
)

func (t *Tier) encode(r cache.TierRecord) []byte {
	id, mono := t.boot()
	b := make([]byte, 0, headSize+len(r.Record))
	b = append(b, magic...)
	b = append(b, epochOf(r.Lease)...)
	b = append(b, id[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(mono))
	b = binary.LittleEndian.AppendUint64(b, uint64(t.clock.Now().Wall))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.TTL))
	b = binary.LittleEndian.AppendUint32(b, checksum(b))
	return append(b, r.Record...)
}

// decode returns the record, if it is of this epoch and not too old to be useful. The
// cache judges its age by the wall clock, so decode refuses a record if the wall clock
// has lost time since.
func (t *Tier) decode(b []byte, epoch string) (record []byte, ok bool) {
	if len(b) < headSize || string(b[:len(magic)]) != magic ||
		string(b[len(magic):len(magic)+epochSize]) != epoch ||
		binary.LittleEndian.Uint32(b[headSize-crc32.Size:]) != checksum(b[:headSize-crc32.Size]) {
		return nil, false
	}
	head := b[len(magic)+epochSize:]
	number := func(i int) int64 { return int64(binary.LittleEndian.Uint64(head[16+8*i:])) }
	ttl := time.Duration(number(2))
	passed := time.Duration(t.clock.Now().Wall - number(1))
	if passed < 0 || ttl != cache.Forever && passed >= ttl {
		return nil, false
	}
	if id, mono := t.boot(); id == [16]byte(head[:16]) && id != [16]byte{} {
		counted := time.Duration(mono - number(0))
		if counted < 0 || counted > passed+maxClockGap {
			return nil, false
		}
	}
	return b[headSize:], true
}

// maxClockGap is how far apart the two clocks may be read. It is well within ClockSkew.
const maxClockGap = 100 * time.Millisecond

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
