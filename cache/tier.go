package cache

import (
	"context"
	"time"
)

// A Tier stores records outside of this process: on a server for all containers of a
// function, or on disk for the next process in this container. On a miss in memory, a
// Cache calls Get, then Load if there is no record, then Set. Package tiertest has tests
// for implementations.
//
// A Tier may lose any record at any time, but it must never restore one. After
// Delete of a name has returned nil, no Get of that name, in any process, may find a
// record whose lease was granted before the Delete. So Delete ends all leases of
// the name, and Set must check the lease. A Tier that loses a lease for any other
// reason must refuse its record, too.
//
// A Tier need not verify records: the Cache detects those that are corrupt or belong
// to another key. Methods must be safe for concurrent use, also by several processes.
// The context of each call has a deadline, and the call must return soon after that.
type Tier interface {
	// Get calls use with the stored record of name, if any, and returns once use
	// reports true. It must not call use after it has returned, and use must not
	// retain or modify the slice.
	//
	// If there is no record, or use reports false, Get returns a lease: the right to
	// Set the record that the caller loads now. The lease is empty if the caller
	// may load but not Set, and whenever Get returns an error. While another caller
	// holds a lease of name, Get may wait for its record, and then call use again.
	Get(ctx context.Context, name string, use func(record []byte) bool) (lease string, err error)

	// Set stores r.Record for r.TTL or less, if r.Lease is still valid. Otherwise it
	// stores nothing and returns nil. In both cases, and if r.Record is nil, Set gives
	// the lease back, so that other callers of Get need not wait.
	Set(ctx context.Context, r TierRecord) error

	// Delete removes the record of name and ends all leases of it.
	Delete(ctx context.Context, name string) error
}

// A BatchTier is a [Tier] with methods for many names, which [Cache.GetMany] and
// [Cache.InvalidateMany] call. If a part of a call fails, it still does the rest.
type BatchTier interface {
	Tier

	// GetMany is Get for many different names. It calls use with their indexes, never
	// concurrently. The leases are in the order of the names; with an error there may
	// be fewer.
	GetMany(ctx context.Context, names []string, use func(i int, record []byte) bool) (leases []string, err error)

	// SetMany is Set for many records of different names.
	SetMany(ctx context.Context, records []TierRecord) error

	// DeleteMany is Delete for many names. If it returns nil, it has deleted all.
	DeleteMany(ctx context.Context, names []string) error
}

// A TierRecord is a record for the Set method of a [Tier].
type TierRecord struct {
	Name   string        // at most 200 arbitrary bytes
	Lease  string        // from the Get that found no record
	Record []byte        // nil: only give the lease back
	TTL    time.Duration // positive; later the record is useless. Forever: no limit
}

// A Codec turns values into bytes for a [Tier], and back: [JSON], [Gob], or one of your
// own. Its functions must be safe for concurrent use. A Decode of your own must return
// the value that Encode got, in every respect that its callers depend on. The Cache
// does not check it.
type Codec[V any] struct {
	// Encode returns the bytes of v. If it returns an error or panics, the value stays
	// in memory and Stats.CodecErrors counts it.
	Encode func(v V) ([]byte, error)

	// Decode returns the value that Encode made b of, perhaps in another process. It
	// must not retain or modify b. If it returns an error or panics, the record is
	// a miss: Load replaces it, and Stats.TierRejected counts it.
	Decode func(b []byte) (V, error)

	check func() error // whether New accepts V; nil: yes
}
