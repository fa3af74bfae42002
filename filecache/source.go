package filecache

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/flight"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// call is what a flight carries for an object.
type call = flight.Call[source]

// source is where the bytes of an object can be had: in the local copy, or in
// memory, or else only at the origin.
type source struct {
	local *store.Copy
	bytes *inMemory
	saved *atomic.Int64 // counts that nothing was downloaded, once the copy is open
	object
	unsized bool // the origin does not say the size
	store.Validation
}

// object is what an origin said about an object.
type object struct {
	id       ID
	etag     string
	size     int64
	modified time.Time
	crc      uint64 // CRC-64/NVME of the bytes; zero if they are only at the origin
}

// sourceOf returns the source that is a local copy.
func sourceOf(c *store.Copy) source {
	return source{local: c, Validation: c.Validation, object: objectOf(c)}
}

func objectOf(c *store.Copy) object {
	return object{id: ID(c.Key()), etag: c.ETag(), size: c.Size(), modified: c.Modified(), crc: c.CRC()}
}

// rangeable reports whether ranges can be asked for that are of this version.
func (o object) rangeable() bool { return o.id.Version != "" || strong(o.etag) != "" }

func (s source) rangeable() bool { return !s.unsized && s.object.rangeable() }

// strong returns an ETag if equal ones mean equal bytes. Others start with W/.
func strong(etag string) string {
	if strings.HasPrefix(etag, "W/") {
		return ""
	}
	return etag
}
