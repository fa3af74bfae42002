package filecache

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/flight"
)

// serveStale opens the stale copy of id after the origin failed with err, if it may be
// served. Otherwise it returns err.
func (c *Cache) serveStale(ctx context.Context, obj Object, id ID, err error) (*File, error) {
	if c.stale == 0 || c.clock.Err(ctx) != nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, flight.ErrOwnKey) {
		return nil, err
	}
	l, _ := c.store.Find(store.Key(id))
	if l == nil || !c.mayServeStale(l.Validation) {
		return nil, err
	}
	f, why := c.openLocal(ctx, obj, l)
	if why != nil {
		c.store.DropCorrupt(l, why)
		return nil, err
	}
	c.stats.stale.Add(1)
	return f, nil
}

// mayServeStale reports whether bytes with validation v may be served while the origin
// fails. Forgotten bytes may not.
func (c *Cache) mayServeStale(v store.Validation) bool { return c.isWithin(v, c.stale) }

// isWithin reports whether bytes with validation v are at most past beyond MaxAge, and not
// forgotten.
func (c *Cache) isWithin(v store.Validation, past time.Duration) bool {
	until := c.maxAge + past
	if until < 0 { // overflow
		until = Immutable
	}
	return !v.Revoked && v.At.Within(until, c.clock.Now())
}

// recent reports whether v is fresh.
func (c *Cache) recent(v store.Validation) bool {
	return !v.Revoked && v.At.Within(c.maxAge, c.clock.Now())
}

// satisfies reports whether v is valid for a caller that began after that many flights:
// v is fresh, or its request was sent later. It does not rely on clocks alone, which may
// run back.
func (c *Cache) satisfies(id ID, v store.Validation, began uint64) bool {
	return v.Flight > began || (id.Version != "" || c.recent(v)) && !c.isSourceForgotten(id, v)
}
