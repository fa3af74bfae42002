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

// An Object is something that an origin can be asked for, such as an S3 object.
// Packages s3source and httpsource make them. It must be safe for concurrent use.
type Object interface {
	// ID names the object. It is called on every Open and asks nobody. It
	// fails if the Object is incomplete.
	ID() (ID, error)

	// Fetch asks the origin once.
	//
	// Its error matches fs.ErrNotExist only if the origin said that there is no
	// such object, and ErrChanged if req.IfMatch did not hold. Any other error
	// means that the origin could not be asked, and goes to the caller as it is.
	// (Beware of errors that match by themselves, of a missing local file with
	// credentials: they would remove the local copy.)
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

// A Request is what is asked of an origin. The zero Request asks for the whole
// object.
type Request struct {
	IfNoneMatch string // an ETag: only if the object has another one
	IfMatch     string // an ETag: only if the object still has this one

	// The range to send. Length zero means up to the end. An origin that sends
	// something else must make an error of Fetch.
	Offset, Length int64
}

// A Response is an origin's answer.
type Response struct {
	// NotModified says that Request.IfNoneMatch is still the object's ETag.
	// Nothing else is set then.
	NotModified bool

	Body         io.ReadCloser // the bytes asked for. Close must end a Read that waits
	Size         int64         // of the whole object, in bytes. Required
	ETag         string        // opaque, with its quotes and W/ if it is weak; empty if there is none
	LastModified time.Time     // zero if unknown
	Checksums    []Checksum    // of the whole object; all are verified
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

// A Checksum is what the origin says of an object's bytes.
type Checksum struct {
	Algorithm Algorithm
	Sum       []byte // big-endian, as hash.Hash.Sum gives it
}
