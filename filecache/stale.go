package filecache

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/flight"
)

// serveStale opens the local copy of id in the place of err, which is why the
// origin did not give the object, if the copy may stand in; else it returns err.
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

// mayServeStale reports whether bytes that v vouches for may be handed out although
// the origin could not be asked. What was forgotten may not.
func (c *Cache) mayServeStale(v store.Validation) bool { return c.isWithin(v, c.stale) }

// isWithin reports whether bytes that v vouches for are at most past older than MaxAge,
// and not forgotten.
func (c *Cache) isWithin(v store.Validation, past time.Duration) bool {
	until := c.maxAge + past
	if until < 0 { // beyond what can be counted
		until = Immutable
	}
	return !v.Revoked && v.At.Within(until, c.clock.Now())
}

// recent reports whether what v vouches for need not be validated now.
func (c *Cache) recent(v store.Validation) bool {
	return !v.Revoked && v.At.Within(c.maxAge, c.clock.Now())
}

// satisfies reports whether v is good enough for a caller who began when there had
// been that many flights: it is recent, or the origin was asked since. The clocks alone
// could not tell: they may run back.
func (c *Cache) satisfies(id ID, v store.Validation, began uint64) bool {
	return v.Flight > began || (id.Version != "" || c.recent(v)) && !c.isSourceForgotten(id, v)
}
