package cache

import (
	"context"
	"encoding/json"
	"time"
)

// A Tier keeps records outside of this process: for all containers of a function,
// on a server, or for the next process in this container, on its disk. A Cache asks
// it for what is not in memory before it asks Load. It is used by any number of
// goroutines at once.
//
// Every record is one that can be lost. What a Tier must not do is to bring one
// back: after a Delete of a name has returned nil, no Get of it, in any process,
// finds a record that was Set with a lease from before. That is what leases are for:
// a Delete, and whatever else the Tier forgets a lease by, takes away the right to
// Set. A Tier need not look into records; the Cache knows a damaged or foreign one.
//
// Each call has a context with a deadline, and must heed it.
type Tier interface {
	// Get calls use with the record that is kept under name, if there is one, and
	// is done if use takes it. Use must not be called after Get has returned, and
	// does not keep the bytes.
	//
	// A record that use does not take is as good as none. Then Get returns a lease:
	// the right to Set the record of what the caller loads now. It is empty if the
	// caller is to load without that right, and always if an error is returned.
	// While another has a lease to load the same, Get may wait some time, and call
	// use with what that one brings.
	Get(ctx context.Context, name string, use func(record []byte) bool) (lease string, err error)

	// Set keeps r.Record for r.TTL, or for less, if r.Lease is still good. If it is
	// not, Set keeps nothing, and that is no error. Without a record it gives the
	// lease back.
	Set(ctx context.Context, r TierRecord) error

	// Delete removes the record of name and ends all leases of it.
	Delete(ctx context.Context, name string) error
}

// A BatchTier is a Tier that can do many at once, for GetMany. When a part of a
// call fails, it still does the rest.
type BatchTier interface {
	Tier

	// GetMany is Get for many different names. It calls use with their indexes,
	// one call at a time. The leases are in the order of the names; with an error
	// they may be fewer.
	GetMany(ctx context.Context, names []string, use func(i int, record []byte) bool) (leases []string, err error)

	// SetMany is Set for many records of different names.
	SetMany(ctx context.Context, records []TierRecord) error
}

// A TierRecord is what a Tier is given to keep.
type TierRecord struct {
	Name   string        // at most 200 bytes, of any kind
	Lease  string        // from the Get that missed
	Record []byte        // nil: none, the lease is given back
	TTL    time.Duration // positive; after that the record is of no use
}

// A Codec turns values into bytes for a Tier, and back. Its functions must be safe for
// concurrent use.
type Codec[V any] struct {
	// Encode returns the bytes of v. If it returns an error or panics, the value stays
	// in memory and Stats.CodecErrors counts it.
	Encode func(v V) ([]byte, error)

	// Decode returns the value that Encode made b of, perhaps in another process. It
	// must not retain or modify b. If it returns an error or panics, the record is
	// a miss: Load replaces it, and Stats.TierRejected counts it.
	Decode func(b []byte) (V, error)
}

// JSON returns the Codec of encoding/json. It is not the default only because every
// program with a Cache would be 400 KB larger.
func JSON[V any]() Codec[V] {
	return Codec[V]{
		Encode: func(v V) ([]byte, error) { return json.Marshal(v) },
		Decode: func(b []byte) (v V, err error) {
			err = json.Unmarshal(b, &v) // before v is read, which one statement leaves open
			return v, err
		},
	}
}
