package filecache

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/flight"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// call is the flight of an object.
type call = flight.Call[source]

// source locates an object's bytes: in a local copy, in memory, or only at the origin.
type source struct {
	local *store.Copy
	bytes *inMemory
	saved *atomic.Int64 // counter of a saved download, for when the copy is open
	object
	unsized bool // the origin does not say the size
	store.Validation
}

// object is the metadata from the origin.
type object struct {
	id       ID
	etag     string
	size     int64
	modified time.Time
	crc      uint64 // CRC-64/NVME of the bytes; zero if they are only at the origin
}

// sourceOf returns the source for a local copy.
func sourceOf(c *store.Copy) source {
	return source{local: c, Validation: c.Validation, object: objectOf(c)}
}

func objectOf(c *store.Copy) object {
	return object{id: ID(c.Key()), etag: c.ETag(), size: c.Size(), modified: c.Modified(), crc: c.CRC()}
}

// rangeable reports whether ranges of this version can be requested.
func (o object) rangeable() bool { return o.id.Version != "" || strong(o.etag) != "" }

func (s source) rangeable() bool { return !s.unsized && s.object.rangeable() }

// strong returns an ETag if equal ones mean equal bytes. Others start with W/.
func strong(etag string) string {
	if strings.HasPrefix(etag, "W/") {
		return ""
	}
	return etag
}
