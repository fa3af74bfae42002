package filecache

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
	"github.com/warmcache/warmcache/internal/keys"
)

// ErrChanged is the error of a Fetch with IfMatch when the origin now has
// another version of the object.
var ErrChanged = transfer.ErrChanged

// ErrChecksum is the error of an object whose bytes do not have the checksum that
// the origin announced, or are more than it announced, after a second attempt. It
// is also that of reading a damaged block for which the origin sends other bytes
// now. (Bytes that are missing are an io.ErrUnexpectedEOF.)
var ErrChecksum = blocks.ErrChecksum

// An Object is something that an origin can serve, such as an S3 object. Packages
// s3source and httpsource implement it; package objecttest tests implementations.
// It must be safe for concurrent use.
type Object interface {
	// ID returns the object's identity. It is called on every Open and sends
	// nothing. It fails if the Object is incomplete.
	ID() (ID, error)

	// Fetch sends one request to the origin and returns its answer. It may retry
	// briefly, such as after a 503. It returns when ctx is done.
	//
	// Its error matches fs.ErrNotExist only if the origin said that there is no
	// such object, and ErrChanged only if req.IfMatch did not hold. Any other
	// error means that the origin did not answer, and reaches the caller as it
	// is. Do not return unrelated errors that match fs.ErrNotExist, such as a
	// missing credentials file: they would remove the local copy.
	Fetch(ctx context.Context, req Request) (*Response, error)
}

// An ID says which object is meant: everything that decides what bytes the
// origin would give, and no secret, since it is kept on disk and shown in errors.
type ID struct {
	Origin string // kind and place, such as "s3://bucket". Required
	Name   string // within the origin, such as an S3 key. Required
	// Version is set if the bytes can never change: they are never asked for
	// again. One that ends in "sha256:" and 64 lower-case hexadecimal digits says
	// what the SHA-256 of the bytes is, and they are verified by that as well: see
	// WithSHA256.
	Version string
}

// String returns the ID as a URL for messages.
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

// key is an encoding of the ID that no other ID has.
func (id ID) key() string {
	b := make([]byte, 0, 128)
	b = keys.AppendString(b, id.Origin)
	b = keys.AppendString(b, id.Name)
	b = keys.AppendString(b, id.Version)
	return string(b)
}

// A Request says what to fetch. The zero Request is for the whole object.
type Request struct {
	// IfNoneMatch is an ETag. If it is still the object's, the origin answers
	// NotModified and sends no bytes. An origin without conditional requests may
	// compare the ETags itself.
	IfNoneMatch string

	// IfMatch is an ETag. If it is no longer the object's, Fetch fails with
	// ErrChanged.
	IfMatch string

	// Offset and Length are the range of bytes to send. A Length of zero means up
	// to the end; a range that goes beyond the end is cut there. Fetch must return
	// an error if the origin sends anything else, such as the whole object.
	Offset, Length int64

	// NewConnection reports that an earlier request got no answer, as after a
	// freeze, when connections that were kept open are dead. Fetch must not reuse
	// one if it can help it, and should close those that are idle. An Object
	// without connections ignores it.
	NewConnection bool
}

// A Response is an origin's answer.
type Response struct {
	// NotModified reports that Request.IfNoneMatch is still the object's ETag.
	// All other fields are zero then.
	NotModified bool

	// Body has the requested bytes. A body that breaks off must end with an error
	// other than io.EOF. Close may be called while Read waits, and must end it.
	Body io.ReadCloser

	// Size is the size of the whole object in bytes, also in the answer to a
	// range; -1 if the origin does not say it.
	Size int64

	// Framed matters only if Size is -1. It reports that Body returns io.EOF only
	// after the last byte, because the protocol marks the end (the last chunk of
	// HTTP/1.1, the end of an HTTP/2 stream) or the format does (an authenticated
	// cipher). If it is false, a cut connection may look like the end, so the
	// bytes are handed out but kept only if one of Checksums proves them.
	Framed bool

	ETag         string     // opaque, with its quotes, and W/ if it is weak; empty if there is none
	LastModified time.Time  // zero if unknown
	Checksums    []Checksum // of the whole object; all are verified
}

// Algorithm names the algorithm of a Checksum.
type Algorithm uint8

// The algorithms that a download is verified by.
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

// A Checksum is a checksum of an object's bytes that the origin announces.
type Checksum struct {
	Algorithm Algorithm
	Sum       []byte // Algorithm.Size bytes, big-endian, as hash.Hash.Sum returns them
}
