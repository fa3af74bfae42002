package filecache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// WithSHA256 returns obj with the promise that its bytes have that SHA-256, in
// 64 hexadecimal digits. The CRCs of a copy find damage; this also finds whatever
// somebody has put in the place of the object, at the origin or on the disk.
//
// Nothing is handed out before all of it has been verified, which costs some 0.6 ms
// for each MiB, once in each process while the file does not change. Bytes from the
// origin that are others are an error that matches ErrChecksum, after a second
// attempt; a copy on disk that is another is replaced from the origin. The bytes can
// never change, so that a copy is used without asking the origin, whatever MaxAge.
//
// An object that finds room neither on disk nor in memory cannot be verified, and
// to open it fails. The sum is part of the ID: copies of obj without it are others.
func WithSHA256(obj Object, sum string) Object {
	return hashed{obj, strings.ToLower(sum)}
}

type hashed struct {
	Object
	sum string
}

func (h hashed) ID() (ID, error) {
	if h.Object == nil {
		return ID{}, errors.New("the Object is nil")
	}
	if b, err := hex.DecodeString(h.sum); err != nil || len(b) != sha256.Size {
		return ID{}, fmt.Errorf("the SHA-256 %q does not have 64 hexadecimal digits", h.sum)
	}
	id, err := h.Object.ID()
	if id.Version != "" {
		id.Version += "+"
	}
	id.Version += sumPrefix + h.sum
	return id, err
}

const sumPrefix = "sha256:"

// sha256 returns the SHA-256 that the bytes must have, or nil if it is not known.
func (id ID) sha256() []byte {
	const size = 2 * sha256.Size
	v := id.Version
	if len(v) < len(sumPrefix)+size || v[len(v)-size-len(sumPrefix):len(v)-size] != sumPrefix {
		return nil
	}
	digits := v[len(v)-size:]
	sum, err := hex.DecodeString(digits)
	if err != nil || strings.ToLower(digits) != digits {
		return nil
	}
	return sum
}

// expected returns the checksums that the bytes of id must have, when the origin
// announced those.
func (id ID) expected(announced []Checksum) []Checksum {
	if sum := id.sha256(); sum != nil {
		return append([]Checksum{{SHA256, sum}}, announced...)
	}
	return announced
}

// errUnverifiable is the error of an object whose SHA-256 is given, and which can
// only be read by ranges.
var errUnverifiable = errors.New("there is no room for a local copy, and without one its bytes cannot be verified by the SHA-256 that they must have")
