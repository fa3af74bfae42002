package main

import (
	"context"

	"github.com/Yiling-J/theine-go"
	"github.com/dgraph-io/ristretto/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/jellydator/ttlcache/v3"
	"github.com/maypok86/otter/v2"
	gocache "github.com/patrickmn/go-cache"
	"github.com/viccon/sturdyc"
	"golang.org/x/sync/singleflight"
)

// peers returns all libraries, warmcache first. The same library with another set-up
// has the same name up to a comma.
func peers() []peer {
	expiring := otter.Options[string, *value]{ExpiryCalculator: otter.ExpiryWriting[string, *value](ttl)}
	// Maintenance runs in its caller, so that a tight loop does not outrun it.
	atOnce := otter.Options[string, *value]{Executor: func(task func()) { task() }}
	return []peer{
		{name: subject, fill: filling(openWarm), load: openWarm, replay: openWarm},
		{name: subject + ", roomy", note: "MaxEntries 4 times the entries: no hit moves one; for information", fill: filling(openRoomy)},
		{name: subject + ", int keys", note: "for information", fill: fillInts},
		{name: subject + ", struct keys", note: "two strings; for information", fill: fillStructs},
		{name: "otter", note: "ExpiryWriting", fill: filling(openOtter(expiring)), load: openOtter(expiring), replay: openOtter(atOnce)},
		{name: "otter, no TTL", note: "no expiry: reads no clock", fill: filling(openOtter(otter.Options[string, *value]{}))},
		{name: "theine", fill: filling(openTheine), load: openTheine, replay: openTheine},
		{name: "ristretto", note: "10 counters per entry, as its documentation advises; keeps hashes of keys, not keys", fill: filling(openRistretto)},
		{name: "ttlcache", note: "WithDisableTouchOnHit: else a hit prolongs the TTL; its loader has no ctx and no error", fill: filling(openTTLCache), load: openTTLCache},
		{name: "sturdyc", note: "10 shards, as its README; capacity doubled for hits, its shards fill unevenly; WithNoContinuousEvictions: else its goroutine stays",
			fill: filling(func(capacity int, load loadFunc) library { return openSturdyc(2*capacity, load) }), load: openSturdyc},
		{name: "go-cache", note: "patrickmn; unbounded, no LRU; wall clock only", fill: filling(openGoCache)},
		{name: "expirable", note: "golang-lru", fill: filling(openExpirable)},
		{name: "lru.Cache", note: "golang-lru; no TTL: reads no clock", fill: filling(openLRU)},
		{name: "lru.Cache + singleflight", note: "written by hand: no TTL, singleflight.Do, looked up again inside", load: openLRU},
		{name: "exact LRU", note: "golang-lru's simplelru, whose order warmcache approximates", replay: openSimpleLRU},
		{name: "no cache", note: "no library: the price of the loop around each of them", fill: filling(func(capacity int, _ loadFunc) library {
			v := &value{}
			return openNothing(capacity, func(context.Context, string) (*value, error) { return v, nil })
		}), load: openNothing},
	}
}

// openNothing returns a library without a cache that always hits.
func openNothing(capacity int, load loadFunc) library {
	return library{
		get:   func(key string) bool { return key != "" },
		set:   func(string, *value) {},
		load:  load,
		many:  func(keys []string) int { return len(keys) },
		len:   func() int { return capacity },
		close: nothing,
	}
}

// found counts the keys that have a value.
func found(keys []string, values map[string]*value) (n int) {
	for _, key := range keys {
		if values[key] != nil {
			n++
		}
	}
	return n
}

func openOtter(o otter.Options[string, *value]) opener {
	return func(capacity int, load loadFunc) library {
		o.MaximumSize = capacity
		c := otter.Must(&o)
		loader := otter.LoaderFunc[string, *value](load)
		none := otter.BulkLoaderFunc[string, *value](func(context.Context, []string) (map[string]*value, error) { return nil, nil })
		return library{
			get:    func(key string) bool { _, ok := c.GetIfPresent(key); return ok },
			set:    func(key string, v *value) { c.Set(key, v) },
			settle: c.CleanUp,
			load:   func(ctx context.Context, key string) (*value, error) { return c.Get(ctx, key, loader) },
			many: func(keys []string) int {
				values, _ := c.BulkGet(context.Background(), keys, none)
				return found(keys, values)
			},
			len:   c.EstimatedSize,
			close: func() { c.StopAllGoroutines() },
		}
	}
}

// openTheine makes two caches, since a cache that loads has another type. Writes are
// queued: a loop that does not settle exceeds the capacity.
func openTheine(capacity int, load loadFunc) library {
	c := must(theine.NewBuilder[string, *value](int64(capacity)).Build())
	loading := must(theine.NewBuilder[string, *value](int64(capacity)).Loading(
		func(ctx context.Context, key string) (theine.Loaded[*value], error) {
			v, err := load(ctx, key)
			return theine.Loaded[*value]{Value: v, Cost: 1, TTL: ttl}, err
		}).Build())
	return library{
		get:    func(key string) bool { _, ok := c.Get(key); return ok },
		set:    func(key string, v *value) { c.SetWithTTL(key, v, 1, ttl); loading.SetWithTTL(key, v, 1, ttl) },
		settle: func() { c.Wait(); loading.Wait() },
		load:   loading.Get,
		len:    c.Len,
		close:  func() { c.Close(); loading.Close() },
	}
}

func openRistretto(capacity int, _ loadFunc) library {
	n := int64(capacity)
	c := must(ristretto.NewCache(&ristretto.Config[string, *value]{
		NumCounters: 10 * n, MaxCost: n, BufferItems: 64, IgnoreInternalCost: true,
	}))
	return library{
		get:    func(key string) bool { _, ok := c.Get(key); return ok },
		set:    func(key string, v *value) { c.SetWithTTL(key, v, 1, ttl) },
		settle: c.Wait,
		len:    func() int { return int(c.MaxCost() - c.RemainingCost()) },
		close:  c.Close,
	}
}

// openTTLCache makes two caches, one of which loads.
func openTTLCache(capacity int, load loadFunc) library {
	options := []ttlcache.Option[string, *value]{
		ttlcache.WithTTL[string, *value](ttl),
		ttlcache.WithCapacity[string, *value](uint64(capacity)),
		ttlcache.WithDisableTouchOnHit[string, *value](),
	}
	loader := ttlcache.LoaderFunc[string, *value](func(c *ttlcache.Cache[string, *value], key string) *ttlcache.Item[string, *value] {
		v, err := load(context.Background(), key)
		if err != nil {
			return nil
		}
		return c.Set(key, v, ttlcache.DefaultTTL)
	})
	c := ttlcache.New(options...)
	loading := ttlcache.New(append(options, ttlcache.WithLoader(ttlcache.NewSuppressedLoader(loader, nil)))...)
	return library{
		get: func(key string) bool { return c.Get(key) != nil },
		set: func(key string, v *value) {
			c.Set(key, v, ttlcache.DefaultTTL)
			loading.Set(key, v, ttlcache.DefaultTTL)
		},
		load:  func(_ context.Context, key string) (*value, error) { return loading.Get(key).Value(), nil },
		len:   c.Len,
		close: nothing,
	}
}

func openSturdyc(capacity int, load loadFunc) library {
	c := sturdyc.New[*value](capacity, 10, ttl, 10, sturdyc.WithNoContinuousEvictions())
	none := func(context.Context, []string) (map[string]*value, error) { return nil, nil }
	same := func(id string) string { return id }
	return library{
		get: func(key string) bool { _, ok := c.Get(key); return ok },
		set: func(key string, v *value) { c.Set(key, v) },
		load: func(ctx context.Context, key string) (*value, error) {
			return c.GetOrFetch(ctx, key, func(ctx context.Context) (*value, error) { return load(ctx, key) })
		},
		many: func(keys []string) int {
			values, _ := c.GetOrFetchBatch(context.Background(), keys, same, none)
			return found(keys, values)
		},
		len:   c.Size,
		close: nothing,
	}
}

func openGoCache(int, loadFunc) library {
	c := gocache.New(ttl, 0) // no janitor: it would outlive the measurement
	return library{
		get:   func(key string) bool { v, ok := c.Get(key); return ok && v.(*value) != nil },
		set:   func(key string, v *value) { c.SetDefault(key, v) },
		len:   c.ItemCount,
		close: nothing,
	}
}

// lruOf is one of the caches of golang-lru.
func lruOf(c interface {
	Get(key string) (*value, bool)
	Add(key string, v *value) (evicted bool)
	Len() int
	Purge()
}) library {
	return library{
		get:   func(key string) bool { _, ok := c.Get(key); return ok },
		set:   func(key string, v *value) { c.Add(key, v) },
		len:   c.Len,
		close: c.Purge,
	}
}

// openExpirable is purged at the end, since its goroutine keeps it for ever.
func openExpirable(capacity int, _ loadFunc) library {
	return lruOf(expirable.NewLRU[string, *value](capacity, nil, ttl))
}

func openSimpleLRU(capacity int, _ loadFunc) library {
	return lruOf(must(simplelru.NewLRU[string, *value](capacity, nil)))
}

// openLRU loads through singleflight, as programs do whose cache cannot load.
func openLRU(capacity int, load loadFunc) library {
	c := must(lru.New[string, *value](capacity))
	var flights singleflight.Group
	l := lruOf(c)
	l.load = func(ctx context.Context, key string) (*value, error) {
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
	return l
}
