package main

import (
	"context"
	"time"
)

// ttl is set wherever a library can set one; nothing expires during a run.
const ttl = time.Hour

// peer is a library as this program uses it. It is a set of functions that
// contain whole loops: an interface call per operation would cost as much as
// some of the libraries do.
type peer struct {
	name string
	note string // how it is set up, where that is not obvious

	// fill makes a cache that holds all keys of w. The others may be nil.
	fill func(w *workload) filled
	load func(capacity int, load loadFunc) loading
	// replay reads keys, storing each on a miss, and returns the hits.
	replay func(capacity int, keys []int32) (hits int)

	toy toy
}

// loadFunc is what a library asks on a miss.
type loadFunc func(ctx context.Context, key string) (*value, error)

// filled is a cache with all keys of a workload in it.
type filled struct {
	hit    func(from, to int) (found int) // reads the workload's order[from:to]
	loader func(from, to int) (found int) // the same through the method that would load
	many   func(from, to int) (found int) // reads the workload's batches[from:to]
	len    func() int
	close  func()
}

// loading is an empty cache with a loader.
type loading struct {
	miss  func(ctx context.Context, keys []string) (loaded int)
	get   func(ctx context.Context, key string) (*value, error)
	close func()
}

// peers returns all libraries, warmcache first. Those that differ in their set-up
// only have a bare name of the library with a comma behind it.
func peers() []peer {
	return []peer{
		warmcacheStrings(), warmcacheRoomy(), warmcacheInts(), warmcacheStructs(),
		otterWriting(), otterForever(),
		theineCache(), ristrettoCache(), ttlcacheCache(), sturdycCache(),
		goCache(), expirableLRU(), lruCache(), lruSingleflight(), exactLRU(),
	}
}

func nothing() {}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // wrong set-up of a library: a bug of this program
	}
	return v
}
