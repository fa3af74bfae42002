package cache

import (
	"context"
	"time"
)

// A Source tells how a call got its Entry.
type Source string

const (
	Hit     Source = "hit"    // from memory, within TTL
	Joined  Source = "joined" // from a Load that another caller had begun
	Loaded  Source = "loaded" // by a Load that began during the call
	TierHit Source = "tier"   // from Options.Tier
	Stale   Source = "stale"  // from memory, past TTL: see Options.StaleIfError
)

// An Entry is a value with its history. Keep it to call [Cache.Newer] later, on the
// same Cache.
type Entry[V any] struct {
	Value V

	// Loaded is the wall time at which the Load of Value began. For a value from
	// another container, it is the earliest time that the clocks allow.
	Loaded time.Time

	Source Source

	id loadID
}

// Lookup is [Cache.Get] with the history of the value. For a known miss, it returns the
// error, and an Entry without Value.
func (c *Cache[K, V]) Lookup(ctx context.Context, key K) (Entry[V], error) {
	return c.entry(c.lookup(ctx, key))
}

func (c *Cache[K, V]) lookup(ctx context.Context, key K) (item[V], Source, error) {
	if it, ok := c.kept.hit(key, c.clock); ok {
		return it, Hit, nil
	}
	c.stats.misses.Add(1)
	return c.fetch(ctx, key, anyFresh)
}

// GetWithin is [Cache.Get] for a caller that needs a younger value than TTL allows: it
// returns none whose Load began longer than maxAge ago, and joins no such Load. So no
// more than two successful Loads of a key begin per maxAge, however many callers there
// are. Errors are not cached: while Load fails, each call that cannot join one loads.
//
// Use it where a request suggests that the cached value is out of date, but does not
// prove it, such as an unknown key ID in a token. If maxAge is zero or negative,
// GetWithin is [Cache.Refresh]. It never returns a stale value that is older than
// maxAge; if Load fails, it returns the error.
func (c *Cache[K, V]) GetWithin(ctx context.Context, key K, maxAge time.Duration) (V, error) {
	if maxAge <= 0 {
		return c.Refresh(ctx, key)
	}
	return c.handOut(c.getAs(ctx, key, want{maxAge: maxAge}))
}

// Newer returns an [Entry] of key whose Load began after that of than. It is for
// callers that have found the value of than to be wrong, such as a password that the
// database has rejected after a rotation:
//
//	secret, err := secrets.Lookup(ctx, "db")
//	...
//	if rejected(login(secret.Value)) {
//		secret, err = secrets.Newer(ctx, "db", secret)
//	}
//
// All callers that hold the same Entry share one Load, also those that call later. With
// a Tier, callers in other containers share it too, unless the Tier is so slow that
// TierTimeout ends their wait; then they load themselves. If Load fails, Newer returns
// the error. It never returns the value of than. For the zero Entry, Newer is
// [Cache.Lookup].
func (c *Cache[K, V]) Newer(ctx context.Context, key K, than Entry[V]) (Entry[V], error) {
	return c.entry(c.getAs(ctx, key, want{maxAge: Forever, after: than.id}))
}

// getAs is lookup for callers that do not accept every value within TTL.
func (c *Cache[K, V]) getAs(ctx context.Context, key K, w want) (item[V], Source, error) {
	if it := c.kept.peek(key); !it.none() {
		if now := c.clock.Now(); it.fresh(now) && accepts(w, &it, now) {
			c.kept.markUsed(key, &it)
			return it, Hit, nil
		}
	}
	c.stats.misses.Add(1)
	return c.fetch(ctx, key, w)
}

// entry is handOut for callers that want an Entry.
func (c *Cache[K, V]) entry(it item[V], source Source, err error) (Entry[V], error) {
	e := Entry[V]{Source: source}
	e.Value, err = c.handOut(it, source, err)
	if it.none() {
		return Entry[V]{Value: e.Value}, err
	}
	e.Loaded, e.id = time.Unix(0, it.loaded.Wall), loadID{local: it.load}
	if it.extra != nil {
		e.id.record = it.extra.record
	}
	return e, err
}
