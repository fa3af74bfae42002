package store

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/warmcache/warmcache/internal/keys"
)

// A Key identifies the object of a copy. Its fields are those of filecache.ID.
type Key struct {
	Origin, Name, Version string
}

// encode returns an encoding that is unique to k.
func (k Key) encode() []byte {
	b := make([]byte, 0, 128)
	b = keys.AppendString(b, k.Origin)
	b = keys.AppendString(b, k.Name)
	return keys.AppendString(b, k.Version)
}

// entryName returns the file name of the entry for k. The name is a hash: it does not
// reveal the key, and no key can make it lead out of the directory.
func (k Key) entryName() string {
	sum := sha256.Sum256(k.encode())
	return hex.EncodeToString(sum[:])
}

// lockByte returns the offset of k's byte in the lock file.
func (k Key) lockByte() int64 { return int64(entryID(k.entryName()) >> 2) }
