package main

import (
	"context"
	"time"
)

// ttl is the TTL in libraries that have one; nothing expires during a run.
const ttl = time.Hour

// subject is the library that the others are compared with.
const subject = "warmcache"

// peer is a library with its set-up. The loops make an indirect call for each key; the
// peer "no cache" measures it.
type peer struct {
	name string
	note string // how it is set up, where that is not obvious

	// Any of these may be nil.
	fill   func(w *workload) *filled
	load   opener // for misses
	replay opener // for hit ratios
}

// opener makes an empty cache that loads its misses.
type opener func(capacity int, load loadFunc) library

// loadFunc is called by a library on a miss.
type loadFunc func(ctx context.Context, key string) (*value, error)

// library is a cache. Each function makes one call of the library.
type library struct {
	get    func(key string) bool // reports whether it has a value, and loads it only if there is no other method
	set    func(key string, v *value)
	settle func()                                                // waits until the cache has stored all values; may be nil
	load   func(ctx context.Context, key string) (*value, error) // may be nil
	many   func(keys []string) (found int)                       // may be nil
	len    func() int
	close  func()
}

// filled is a cache with all keys of a workload in it.
type filled struct {
	hits  reads
	loads reads                           // the same through the method that would load; may be nil
	many  func(keys []string) (found int) // may be nil
	len   func() int
	close func()
}

// reads reads n of the workload's keys in their order, beginning at one of them, and
// counts those that were found.
type reads func(from, n int) (found int)

func readsOf[K any](order []K, get func(K) bool) reads {
	return func(from, n int) (found int) {
		for n > 0 {
			part := order[from:min(from+n, len(order))]
			for _, key := range part {
				if get(key) {
					found++
				}
			}
			from, n = 0, n-len(part)
		}
		return found
	}
}

// filling returns a function that fills a cache. After that its loads return no value.
func filling(open opener) func(w *workload) *filled {
	return func(w *workload) *filled {
		full := false
		l := open(len(w.keys), func(_ context.Context, key string) (*value, error) {
			if full {
				return nil, nil
			}
			return w.byKey(key), nil
		})
		for i, key := range w.keys {
			l.set(key, w.values[i])
			if l.settle != nil && (i%1000 == 0 || i == len(w.keys)-1) { // a full queue drops writes
				l.settle()
			}
		}
		full = true
		f := &filled{hits: readsOf(w.order, l.get), many: l.many, len: l.len, close: l.close}
		if l.load != nil {
			f.loads = readsOf(w.order, func(key string) bool {
				v, err := l.load(context.Background(), key)
				return err == nil && v != nil
			})
		}
		return f
	}
}

func nothing() {}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the set-up of a library is wrong
	}
	return v
}
