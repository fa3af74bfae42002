package main

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

func lruCache() peer {
	return peer{
		name: "lru.Cache",
		note: "golang-lru; no TTL: reads no clock",
		fill: func(w *workload) filled { return fillLRU(w, must(lru.New[string, *value](len(w.keys)))) },
		toy: toy{imports: []string{"github.com/hashicorp/golang-lru/v2"}, body: `
	c, err := lru.New[string, *int](1000)
	if err != nil {
		panic(err)
	}
	c.Add("key", new(int))
	c.Get("key")`},
	}
}

func expirableLRU() peer {
	return peer{
		name: "expirable",
		note: "golang-lru",
		fill: func(w *workload) filled { return fillLRU(w, expirable.NewLRU[string, *value](len(w.keys), nil, ttl)) },
		toy: toy{imports: []string{"time", "github.com/hashicorp/golang-lru/v2/expirable"}, body: `
	c := expirable.NewLRU[string, *int](1000, nil, time.Hour)
	c.Add("key", new(int))
	c.Get("key")`},
	}
}

// lruLike is what golang-lru's caches have in common.
type lruLike interface {
	*lru.Cache[string, *value] | *expirable.LRU[string, *value]
	Add(string, *value) bool
	Len() int
	Purge()
}

func fillLRU[C lruLike](w *workload, c C) filled {
	for i, key := range w.keys {
		c.Add(key, w.values[i])
	}
	// Purge: the goroutine of an expirable keeps it for ever.
	f := filled{len: c.Len, close: c.Purge}
	switch c := any(c).(type) { // outside the loops, for them to call a method they know
	case *lru.Cache[string, *value]:
		f.hit = func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if _, ok := c.Get(key); ok {
					found++
				}
			}
			return found
		}
	case *expirable.LRU[string, *value]:
		f.hit = func(from, to int) (found int) {
			for _, key := range w.order[from:to] {
				if _, ok := c.Get(key); ok {
					found++
				}
			}
			return found
		}
	}
	return f
}

// lruSingleflight is what people write themselves.
func lruSingleflight() peer {
	return peer{
		name: "lru.Cache + singleflight",
		note: "written by hand: no TTL, singleflight.Do, looked up again inside",
		load: loadLRUSingleflight,
	}
}

func loadLRUSingleflight(capacity int, load loadFunc) loading {
	c := must(lru.New[string, *value](capacity))
	var flights singleflight.Group
	get := func(ctx context.Context, key string) (*value, error) {
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
	}
	return loading{
		miss: func(ctx context.Context, keys []string) (loaded int) {
			for _, key := range keys {
				if v, err := get(ctx, key); err == nil && v != nil {
					loaded++
				}
			}
			return loaded
		},
		get:   get,
		close: c.Purge,
	}
}

// exactLRU is the order that warmcache approximates.
func exactLRU() peer {
	return peer{name: "exact LRU", note: "golang-lru's simplelru", replay: func(capacity int, keys []int32) (hits int) {
		c := must(simplelru.NewLRU[int32, bool](capacity, nil))
		for _, key := range keys {
			if _, ok := c.Get(key); ok {
				hits++
			} else {
				c.Add(key, true)
			}
		}
		return hits
	}}
}
