package filecache

import (
	"fmt"
	"time"
)

// An Info describes the version of an object that a File reads. It is what the Sys
// method of the File's FileInfo returns, as a *Info.
type Info struct {
	ID       ID
	Version  string    // see File.Version
	ETag     string    // the origin's, with its quotes; empty if it sent none
	Modified time.Time // at the origin; zero if unknown
}

// Version identifies the bytes that f reads, among those of its object. Two Files of an
// object have equal Versions exactly if they read the same version of it, in whatever
// process, and whether the bytes come from disk, from memory or from the origin. The
// text says nothing else: it must not be parsed, nor be compared with that of another
// object.
//
// It is the object's ID.Version or else the origin's ETag. Without a strong ETag, it is
// made of the size and the CRC-64/NVME of the bytes.
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
