package transfer

import (
	"context"
	"errors"
	"io"
)

// ErrChanged means that the origin no longer has the requested version.
var ErrChanged = errors.New("the object has changed at the origin")

// A Version is one version of an object at its origin.
type Version struct {
	Size int64 // negative if unknown; then Part is nil

	// Part requests length bytes at off, or all bytes from off if length is zero. If
	// fresh is true, it uses a new connection. The error matches ErrChanged if the
	// origin has another version now. A nil Part means that versions cannot be told
	// apart, so a broken transfer is not resumed.
	Part func(ctx context.Context, off, length int64, fresh bool) (io.ReadCloser, error)

	Came func(bytes int) // called with each number of bytes received; may be nil
}

func (v *Version) came(n int) {
	if v.Came != nil {
		v.Came(n)
	}
}
