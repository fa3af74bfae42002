package cache

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"hash/fnv"
	"time"

	"github.com/warmcache/warmcache/internal/keys"
)

// record is what a Tier keeps of an item: the answer, which question it is the
// answer to, and how old it is.
//
//	magic and version   4 bytes
//	loaded              8 bytes: wall time, in nanoseconds since the Unix epoch
//	ttl                 8 bytes: nanoseconds, counted from then
//	missing             1 byte: 1 if the key does not exist
//	id                  8 bytes: random, names the load
//	after               8 bytes: the id of a load that had ended when this one began; or 0
//	namespace           with its length in front
//	key                 encoded, with its length in front
//	payload             as the Codec made it
//	checksum            4 bytes: CRC-32C of all before
//
// Numbers are little-endian. The checksum is for accidents. Who can write to the
// Tier on purpose can answer in its name.
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

// decodeRecord returns the record in b, if that is one of identity. Its payload is a
// part of b.
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
	r.payload = b[start:end]
	return r, r.loaded > 0 && r.ttl > 0
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// identityOf tells a record's question from all others.
func identityOf(namespace, key string) string {
	b := make([]byte, 0, len(namespace)+len(key)+10)
	return string(keys.AppendString(keys.AppendString(b, namespace), key))
}

// longestKey is how long an encoded key may be to stand in a name as it is.
const longestKey = 128

// nameOf is what a Tier knows a record by: the namespace, a colon, and the encoded
// key; or if that is long, a # and its hash. Neither is in a namespace. Keys with
// the same hash, if somebody went looking for them, push each other out: the
// identity in the record tells them apart.
func nameOf(namespace, key string) string {
	if len(key) <= longestKey {
		return namespace + ":" + key
	}
	h := fnv.New128a()
	h.Write([]byte(key))
	return namespace + "#" + hex.EncodeToString(h.Sum(nil))
}
