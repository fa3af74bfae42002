package cache

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"hash/fnv"
	"time"

	"github.com/warmcache/warmcache/internal/keys"
)

// A record holds an item for a Tier: the value or known miss, the identity it belongs
// to, and its age.
//
//	magic and version   4 bytes
//	loaded              8 bytes: wall time, in nanoseconds since the Unix epoch
//	ttl                 8 bytes: nanoseconds, counted from loaded
//	missing             1 byte: 1 for a known miss
//	id                  8 bytes: random, names the load
//	after               8 bytes: the id of a load that had ended when this one began; or 0
//	namespace           with its length in front
//	key's shape         16 bytes: FNV-128a of keys.Shape
//	key                 encoded, with its length in front
//	payload             from Codec.Encode
//	checksum            4 bytes: CRC-32C of all bytes before
//
// Numbers are little-endian. The checksum detects accidents, not attacks: a program
// that can write to the Tier can forge records.
type record struct {
	loaded  int64
	ttl     time.Duration
	missing bool
	id      uint64
	after   uint64
	payload []byte
}

const (
	recordMagic = "wcr\x02"
	recordFixed = len(recordMagic) + 8 + 8 + 1 + 8 + 8
)

func (r *record) encode(identity string) []byte {
	b := make([]byte, 0, recordFixed+len(identity)+len(r.payload)+crc32.Size)
	b = append(b, recordMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.loaded))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.ttl))
	missing := byte(0)
	if r.missing {
		missing = 1
	}
	b = append(b, missing)
	b = binary.LittleEndian.AppendUint64(b, r.id)
	b = binary.LittleEndian.AppendUint64(b, r.after)
	b = append(b, identity...)
	b = append(b, r.payload...)
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// decodeRecord returns the record in b, if it has that identity. The payload is a
// subslice of b without spare capacity, so that a Decode that appends to it cannot
// overwrite the checksum.
func decodeRecord(b []byte, identity string) (r record, ok bool) {
	start, end := recordFixed+len(identity), len(b)-crc32.Size
	if end < start || string(b[:len(recordMagic)]) != recordMagic ||
		string(b[recordFixed:start]) != identity ||
		binary.LittleEndian.Uint32(b[end:]) != checksum(b[:end]) {
		return r, false
	}
	fixed := b[len(recordMagic):]
	r.loaded = int64(binary.LittleEndian.Uint64(fixed))
	r.ttl = time.Duration(binary.LittleEndian.Uint64(fixed[8:]))
	r.missing = fixed[16] == 1
	r.id = binary.LittleEndian.Uint64(fixed[17:])
	r.after = binary.LittleEndian.Uint64(fixed[25:])
	r.payload = b[start:end:end]
	return r, r.loaded > 0 && r.ttl > 0
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// identityOf returns the prefix of all records of a key: namespace, shape and key.
//
// The shape keeps apart two versions of a program that use one Namespace for different
// key types. Without it, the encoded int64 21 is the encoded uint64 42, and a struct
// whose fields were reordered finds another tenant's record.
func identityOf(namespace, shape, key string) string {
	b := make([]byte, 0, len(namespace)+len(shape)+len(key)+10)
	b = append(keys.AppendString(b, namespace), shape...)
	return string(keys.AppendString(b, key))
}

// shapeOf returns the hash of K's shape for identityOf.
func shapeOf[K comparable]() string {
	h := fnv.New128a()
	h.Write([]byte(keys.Shape[K]()))
	return string(h.Sum(nil))
}

// longestKey is the length up to which an encoded key is part of the name unhashed.
const longestKey = 128

// nameOf returns the name of a key's record in the Tier: the namespace, a colon and
// the encoded key, or for a long key the namespace, a # and its hash. A namespace
// contains neither. Keys whose hashes collide evict each other, and the identity in
// the record tells them apart.
func nameOf(namespace, key string) string {
	if len(key) <= longestKey {
		return namespace + ":" + key
	}
	h := fnv.New128a()
	h.Write([]byte(key))
	return namespace + "#" + hex.EncodeToString(h.Sum(nil))
}
