package store

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/warmcache/warmcache/internal/keys"
)

// A Key says which object a copy is of. Its fields are those of filecache.ID.
type Key struct {
	Origin, Name, Version string
}

// encode returns an encoding that no other Key has.
func (k Key) encode() []byte {
	b := make([]byte, 0, 128)
	b = keys.AppendString(b, k.Origin)
	b = keys.AppendString(b, k.Name)
	return keys.AppendString(b, k.Version)
}

// entryName returns the file name of the entry for k. The name says nothing
// about the object, and cannot be led out of the directory by its key.
func (k Key) entryName() string {
	sum := sha256.Sum256(k.encode())
	return hex.EncodeToString(sum[:])
}

// lockByte returns the number of the byte that stands for k in the file of locks.
func (k Key) lockByte() int64 { return int64(entryID(k.entryName()) >> 2) }
