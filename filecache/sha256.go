package filecache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// WithSHA256 returns obj with an expected SHA-256, in 64 hexadecimal digits. The CRCs of
// a copy find damage; the SHA-256 also finds a forged object, at the origin or on disk.
//
// Open verifies the whole object before it returns. That takes about 0.6 ms for each
// MiB, the speed of crypto/sha256, once in each process while the file does not change.
// If the origin sends different bytes twice, the error matches [ErrChecksum]. A
// different copy on disk is replaced from the origin. Since the bytes can never change,
// a copy is never revalidated.
//
// An object that fits neither on disk nor in memory cannot be verified, so Open fails.
// The sum is part of the ID: copies of obj without it are different objects.
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

// sha256 returns the expected SHA-256, or nil if there is none.
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

// expected returns the checksums to verify: those that the origin announced, and the
// SHA-256 of id.
func (id ID) expected(announced []Checksum) []Checksum {
	if sum := id.sha256(); sum != nil {
		return append([]Checksum{{SHA256, sum}}, announced...)
	}
	return announced
}

// errUnverifiable reports an object with an expected SHA-256 that could only be read by
// ranges.
var errUnverifiable = errors.New("there is no room for a local copy, without which the SHA-256 of the object cannot be verified")
