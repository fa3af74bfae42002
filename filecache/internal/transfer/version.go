package transfer

import (
	"context"
	"errors"
	"io"
)

// ErrChanged is the error of a part of a version that the origin no longer has.
var ErrChanged = errors.New("the object has changed at the origin")

// A Version is one version of an object at its origin.
type Version struct {
	Size int64 // negative: unknown. Then Part is nil

	// Part requests length bytes from off on, or all up to the end if length is
	// zero. Fresh requests a new connection. The error matches ErrChanged if the
	// origin has another version now. A nil Part means that nothing can tell two
	// versions apart: a broken transfer is then not resumed.
	Part func(ctx context.Context, off, length int64, fresh bool) (io.ReadCloser, error)

	Came func(bytes int) // counts bytes from the origin; may be nil
}

func (v *Version) came(n int) {
	if v.Came != nil {
		v.Came(n)
	}
}
