package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/minio/crc64nvme"
	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// The on-disk format, version 2. An entry contains all metadata of a copy. A small
// object's bytes follow the entry in the same file. A larger object's bytes are in a data
// file, which contains nothing else.
//
//	magic       8 bytes  "WARMCACH"
//	version     u32      2
//	length      u32      of the whole entry
//	origin, name, version, etag     text: u32 length, bytes
//	modified    i64      the origin's Last-Modified, Unix nanoseconds; minInt64: unknown
//	size        i64      of the object
//	checksum    u8       the origin's algorithm that the bytes match; 0: length only
//	sum         text     its value
//	whole       u64      CRC-64/NVME of the bytes
//	block size  u64
//	blocks      u32      how many
//	            u64 each CRC-64/NVME of the block
//	data        text     name of the data file; unique for each copy, even if inline
//	inline      u8       1: there is no data file, and the bytes follow the entry; 0: there is one
//	validated   i64 i64  when the request that got or confirmed this was sent: wall clock
//	                     (Unix nanoseconds) and monotonic clock (nanoseconds since the boot)
//	boot        16 bytes the boot that the monotonic clock counts from; zero: unknown
//	crc         u64      CRC-64/NVME of all before
//	bytes                of the object, if inline; the CRC of the block verifies them
//
// Integers are big-endian. No field is optional, so truncation cannot weaken a check. An
// entry that does not decode to the last byte is a miss. A change of this list needs a
// new version, in a new directory.
const (
	entryMagic   = "WARMCACH"
	entryVersion = 2
	MaxText      = 4 << 10 // maximum length of a text
	maxEntry     = 32 << 10
	unknownTime  = math.MinInt64
)

// entry is a decoded entry.
type entry struct {
	key       Key
	etag      string
	modified  int64
	size      int64
	algorithm byte
	sum       []byte
	whole     uint64
	blockSize int64
	crcs      []uint64
	data      string
	inline    bool
	wall      int64
	mono      int64
	boot      [16]byte

	length int64 // of the encoding; an inline object's bytes start there
}

// refersTo reports whether the data file called data is e's.
func (e *entry) refersTo(data string) bool { return !e.inline && e.data == data }

// hasSameBytes reports whether e and o are of the same version of the same object.
func (e *entry) hasSameBytes(o *entry) bool {
	return e.key == o.key && e.etag == o.etag && e.size == o.size && slices.Equal(e.crcs, o.crcs)
}

// room returns the room of the copy.
func (e *entry) room() room {
	if e.inline {
		return room{pages(e.fileSize()), 1}
	}
	return roomForTwo(e.size)
}

// fileSize returns the size of the entry's file.
func (e *entry) fileSize() int64 {
	if e.inline {
		return e.length + e.size
	}
	return e.length
}

// encode returns the encoding of e. Its capacity leaves room for the bytes of a very small
// object.
func (e *entry) encode() []byte {
	n := 512 + 8*len(e.crcs)
	if e.inline {
		n += int(min(e.size, page))
	}
	b := make([]byte, 0, n)
	b = append(b, entryMagic...)
	b = binary.BigEndian.AppendUint32(b, entryVersion)
	b = binary.BigEndian.AppendUint32(b, 0) // set below
	for _, s := range []string{e.key.Origin, e.key.Name, e.key.Version, e.etag} {
		b = appendText(b, s)
	}
	b = appendUint64(b, uint64(e.modified))
	b = appendUint64(b, uint64(e.size))
	b = append(b, e.algorithm)
	b = appendText(b, string(e.sum))
	b = appendUint64(b, e.whole)
	b = appendUint64(b, uint64(e.blockSize))
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.crcs)))
	for _, crc := range e.crcs {
		b = appendUint64(b, crc)
	}
	b = appendText(b, e.data)
	b = append(b, flag(e.inline))
	b = appendUint64(b, uint64(e.wall))
	b = appendUint64(b, uint64(e.mono))
	b = append(b, e.boot[:]...)
	e.length = int64(len(b) + 8)
	binary.BigEndian.PutUint32(b[12:], uint32(e.length))
	return appendUint64(b, crc64nvme.Checksum(b))
}

func decodeEntry(b []byte) (*entry, error) {
	if len(b) < len(entryMagic)+16 || string(b[:len(entryMagic)]) != entryMagic {
		return nil, fmt.Errorf("%w: not an entry", errEntry)
	}
	body, crc := b[:len(b)-8], binary.BigEndian.Uint64(b[len(b)-8:])
	if crc64nvme.Checksum(body) != crc {
		return nil, fmt.Errorf("%w: checksum", errEntry)
	}
	d := decoder{rest: body[len(entryMagic):]}
	if v := d.uint32(); v != entryVersion {
		return nil, fmt.Errorf("%w: version %d", errEntry, v)
	}
	if int(d.uint32()) != len(b) {
		return nil, fmt.Errorf("%w: length", errEntry)
	}
	e := &entry{}
	e.key = Key{Origin: d.text(), Name: d.text(), Version: d.text()}
	e.etag = d.text()
	e.modified = int64(d.uint64())
	e.size = int64(d.uint64())
	e.algorithm = d.byte()
	e.sum = []byte(d.text())
	e.whole = d.uint64()
	e.blockSize = int64(d.uint64())
	e.crcs = d.crcs()
	e.data = d.text()
	inline := d.byte()
	e.inline = inline == 1
	e.wall = int64(d.uint64())
	e.mono = int64(d.uint64())
	copy(e.boot[:], d.bytes(len(e.boot)))
	e.length = int64(len(b))
	if d.short || len(d.rest) > 0 || inline > 1 || !e.plausible() {
		return nil, fmt.Errorf("%w: fields", errEntry)
	}
	return e, nil
}

// encodedLength returns the length in the header of the entry at the start of b, if there
// is one.
func encodedLength(b []byte) int64 {
	if len(b) < len(entryMagic)+16 {
		return int64(len(b))
	}
	return int64(binary.BigEndian.Uint32(b[len(entryMagic)+4:]))
}

// plausible reports whether the fields are consistent.
func (e *entry) plausible() bool {
	return e.size >= 0 &&
		(!e.inline || e.size <= blocks.MinSize) &&
		e.blockSize == blocks.SizeFor(e.size) &&
		len(e.crcs) == blocks.Count(e.size, e.blockSize) &&
		isDataName(e.data) && entryOf(e.data) == e.key.entryName()
}

// decoder reads fields from the front. Once a field is cut off, short stays true and all
// later fields are zero.
type decoder struct {
	rest  []byte
	short bool
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.rest) {
		d.short = true
		return make([]byte, min(max(n, 0), 16))
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte     { return d.bytes(1)[0] }
func (d *decoder) uint32() uint32 { return binary.BigEndian.Uint32(d.bytes(4)) }
func (d *decoder) uint64() uint64 { return binary.BigEndian.Uint64(d.bytes(8)) }

func (d *decoder) text() string {
	n := d.uint32()
	if n > MaxText {
		d.short = true
		return ""
	}
	return string(d.bytes(int(n)))
}

func (d *decoder) crcs() []uint64 {
	n := d.uint32()
	if n > blocks.MaxCount || 8*int(n) > len(d.rest) {
		d.short = true
		return nil
	}
	crcs := make([]uint64, n)
	for i := range crcs {
		crcs[i] = d.uint64()
	}
	return crcs
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendUint64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

// errEntry means that an entry does not decode.
var errEntry = errors.New("damaged entry")
