package filecache

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/keys"
)

// ErrChanged reports that the origin has another version of the object than the one in
// [Request.IfMatch].
var ErrChanged = transfer.ErrChanged

// ErrChecksum reports that an object's bytes do not match the origin's checksum, or are
// more than its size, after a second attempt. Reading also returns it if a block of the
// copy is corrupt and the origin's bytes now differ. Missing bytes are an
// [io.ErrUnexpectedEOF].
var ErrChecksum = blocks.ErrChecksum

// An Object is an object at an origin, such as S3. Packages s3source and httpsource
// implement it, and package objecttest tests implementations. An Object must be safe for
// concurrent use.
type Object interface {
	// ID returns the object's identity. Each Open calls it. It must not send a
	// request. It fails if the Object is invalid.
	ID() (ID, error)

	// Fetch sends one request to the origin and returns its answer. It may retry
	// briefly, such as after a 503. It returns when ctx is done.
	//
	// Its error must match fs.ErrNotExist only if the origin reported that the object
	// does not exist, and ErrChanged only if the object no longer has the ETag
	// req.IfMatch. Other errors mean that the origin failed, and reach the caller
	// unchanged. Do not return unrelated errors that match fs.ErrNotExist, such as a
	// missing credentials file: they would remove the local copy.
	Fetch(ctx context.Context, req Request) (*Response, error)
}

// An ID identifies an object. It must include everything that the origin's bytes depend
// on. It must not contain secrets: it is stored on disk and shown in errors.
type ID struct {
	Origin string // the service and the place in it, such as "s3://bucket". Required
	Name   string // within the origin, such as an S3 key. Required
	// Version is set if the bytes can never change: a copy is never revalidated. If it
	// ends in "sha256:" and 64 lower-case hexadecimal digits, the bytes are also
	// verified by that SHA-256: see WithSHA256.
	Version string
}

// String returns the ID in the form of a URL, for messages.
func (id ID) String() string {
	s := id.Origin + "/" + id.Name
	if id.Version != "" {
		s += "?version=" + id.Version
	}
	return s
}

func (id ID) validate() error {
	switch {
	case id.Origin == "":
		return errors.New("the object's ID.Origin is empty")
	case id.Name == "":
		return errors.New("the object's ID.Name is empty")
	case len(id.Origin)+len(id.Name)+len(id.Version) > store.MaxText:
		return errors.New("the object's ID is longer than 4 KiB")
	}
	return nil
}

// key returns an encoding that is different for each ID.
func (id ID) key() string {
	b := make([]byte, 0, 128)
	b = keys.AppendString(b, id.Origin)
	b = keys.AppendString(b, id.Name)
	b = keys.AppendString(b, id.Version)
	return string(b)
}

// A Request selects the version and bytes to fetch. The zero Request is for the whole
// object.
type Request struct {
	// IfNoneMatch is an ETag. If the object still has it, Fetch returns a Response
	// with NotModified and without bytes. If the origin has no conditional requests,
	// Fetch may compare the ETags itself.
	IfNoneMatch string

	// IfMatch is an ETag. If the object no longer has it, Fetch returns ErrChanged.
	IfMatch string

	// Offset and Length are the requested range, in bytes. A Length of zero means up
	// to the end, and a range beyond the end is cut there. Fetch must return an error
	// if the origin sends anything else, such as the whole object.
	Offset, Length int64

	// NewConnection reports that an earlier request got no answer, as after a freeze,
	// when kept connections are dead. Fetch should close idle connections and open a
	// new one. An Object without connections ignores it.
	NewConnection bool
}

// A Response is an origin's answer.
type Response struct {
	// NotModified reports that Request.IfNoneMatch is still the object's ETag.
	// All other fields are zero then.
	NotModified bool

	// Body returns the requested bytes. If the connection breaks, it must end with an
	// error other than io.EOF. Close may be called during a Read and must end it.
	Body io.ReadCloser

	// Size is the size of the whole object in bytes, also for a range; -1 means
	// unknown.
	Size int64

	// Framed matters only if Size is -1. It reports that Body returns io.EOF only
	// after the last byte, because the protocol marks the end (the last chunk of
	// HTTP/1.1, the end of an HTTP/2 stream) or the format does (an authenticated
	// cipher). If it is false, a cut connection may look like the end, so the
	// bytes are returned but kept only if they match one of Checksums.
	Framed bool

	ETag         string     // opaque, with its quotes, and W/ if it is weak; empty if there is none
	LastModified time.Time  // zero if unknown
	Checksums    []Checksum // of the whole object; all are verified

	sourceAt *clock.Instant // when the source of a derived object was validated
}

// Algorithm is the algorithm of a [Checksum].
type Algorithm uint8

// The algorithms that a Cache can verify.
const (
	CRC64NVME Algorithm = 1 + iota
	CRC32
	CRC32C
	SHA1
	SHA256
)

// Size returns the length of a Sum in bytes, or zero for an unknown Algorithm.
func (a Algorithm) Size() int {
	switch a {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME:
		return 8
	case SHA1:
		return 20
	case SHA256:
		return 32
	}
	return 0
}

// A Checksum is the origin's checksum of an object's bytes.
type Checksum struct {
	Algorithm Algorithm
	Sum       []byte // Algorithm.Size bytes, big-endian, as hash.Hash.Sum returns them
}
