package main

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

func lruCache() peer {
	return peer{name: "lru.Cache", note: "golang-lru; no TTL: reads no clock", fill: func(w *workload) filled {
		c := must(lru.New[string, *value](len(w.keys)))
		for i, key := range w.keys {
			c.Add(key, w.values[i])
		}
		return filled{hit: func(i int) bool { _, ok := c.Get(w.order[i]); return ok }, len: c.Len, close: c.Purge}
	}}
}

func expirableLRU() peer {
	return peer{name: "expirable", note: "golang-lru", fill: func(w *workload) filled {
		c := expirable.NewLRU[string, *value](len(w.keys), nil, ttl)
		for i, key := range w.keys {
			c.Add(key, w.values[i])
		}
		// Purge: the goroutine of an expirable keeps it for ever.
		return filled{hit: func(i int) bool { _, ok := c.Get(w.order[i]); return ok }, len: c.Len, close: c.Purge}
	}}
}

// lruSingleflight is the cache that people write themselves.
func lruSingleflight() peer {
	return peer{name: "lru.Cache + singleflight", note: "written by hand: no TTL, singleflight.Do, looked up again inside", load: func(capacity int, load loadFunc) loading {
		c := must(lru.New[string, *value](capacity))
		var flights singleflight.Group
		return loading{close: c.Purge, get: func(ctx context.Context, key string) (*value, error) {
			if v, ok := c.Get(key); ok {
				return v, nil
			}
			v, err, _ := flights.Do(key, func() (any, error) {
				if v, ok := c.Get(key); ok {
					return v, nil
				}
				v, err := load(ctx, key)
				if err == nil {
					c.Add(key, v)
				}
				return v, err
			})
			return v.(*value), err
		}}
	}}
}

// exactLRU has the order that warmcache approximates.
func exactLRU() peer {
	return peer{name: "exact LRU", note: "golang-lru's simplelru", replay: func(capacity int) replaying {
		c := must(simplelru.NewLRU[int32, bool](capacity, nil))
		return replaying{close: c.Purge, hit: func(key int32) bool {
			_, ok := c.Get(key)
			if !ok {
				c.Add(key, true)
			}
			return ok
		}}
	}}
}
