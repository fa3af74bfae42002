package main

import (
	"context"
	"time"
)

// ttl is set wherever a library can set one; nothing expires during a run.
const ttl = time.Hour

// subject is the library that the others are compared with.
const subject = "warmcache"

// peer is a library as this program uses it. Each function makes one call of the
// library, and costs a call itself: the peer "no cache" shows that price.
type peer struct {
	name string
	note string // how it is set up, where that is not obvious

	// Any of these may be nil.
	fill   func(w *workload) filled
	load   func(capacity int, load loadFunc) loading
	replay func(capacity int) replaying
}

// loadFunc is called by a library on a miss.
type loadFunc func(ctx context.Context, key string) (*value, error)

// filled is a cache with all keys of a workload in it.
type filled struct {
	hit    func(i int) bool                // finds the workload's order[i]
	loader func(i int) bool                // the same through the method that would load; may be nil
	many   func(keys []string) (found int) // may be nil
	len    func() int
	close  func()
}

// loading is an empty cache with a loader.
type loading struct {
	get   func(ctx context.Context, key string) (*value, error)
	close func()
}

// replaying is an empty cache that stores each key that it does not find.
type replaying struct {
	hit   func(key int32) bool
	close func()
}

// peers returns all libraries, warmcache first. Those that differ in their set-up
// alone have the same name up to a comma.
func peers() []peer {
	return []peer{
		warmcacheStrings(), warmcacheRoomy(), warmcacheInts(), warmcacheStructs(),
		otterWriting(), otterForever(),
		theineCache(), ristrettoCache(), ttlcacheCache(), sturdycCache(),
		goCache(), expirableLRU(), lruCache(), lruSingleflight(), exactLRU(), noCache(),
	}
}

// noCache finds everything and keeps nothing.
func noCache() peer {
	return peer{
		name: "no cache",
		note: "no library: the price of the loop around each of them",
		fill: func(w *workload) filled {
			found := func(i int) bool { return w.order[i] != "" }
			return filled{hit: found, loader: found, many: func(keys []string) int { return len(keys) }, len: func() int { return len(w.keys) }, close: nothing}
		},
		load: func(_ int, load loadFunc) loading { return loading{get: load, close: nothing} },
	}
}

func nothing() {}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // wrong set-up of a library: a bug of this program
	}
	return v
}
