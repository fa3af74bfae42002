package filecache

import (
	"fmt"
	"time"
)

// An Info describes the version of an object that a File reads. The Sys method of
// the File's FileInfo returns a *Info.
type Info struct {
	ID       ID
	Version  string    // see File.Version
	ETag     string    // the origin's, with its quotes; empty if it sent none
	Modified time.Time // at the origin; zero if unknown
}

// Version returns a string that identifies the object's version. Two Files of an object
// have equal Versions if and only if they read the same version, across processes, and
// whether the bytes come from disk, memory or the origin. Do not parse it or compare it
// with that of another object.
//
// It is the ID's Version if there is one, or the origin's ETag. Without a strong ETag, it
// consists of the size and the CRC-64/NVME of the bytes.
func (f *File) Version() string { return f.version() }

func (o object) version() string {
	switch etag := strong(o.etag); {
	case o.id.Version != "":
		return o.id.Version
	case etag != "":
		return etag
	}
	return fmt.Sprintf("crc64nvme:%016x-%d", o.crc, o.size)
}

func (o object) info() *Info {
	return &Info{ID: o.id, Version: o.version(), ETag: o.etag, Modified: o.modified}
}
