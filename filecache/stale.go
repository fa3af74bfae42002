package filecache

import (
	"context"
	"errors"
	"io/fs"

	"github.com/warmcache/warmcache/internal/flight"
)

// insteadOf opens the local copy of id in the place of err, which is why the
// origin did not give the object, if the copy may stand in; else it returns err.
func (c *Cache) insteadOf(ctx context.Context, obj Object, id ID, err error) (*File, error) {
	if c.stale == 0 || c.clock.Err(ctx) != nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, flight.ErrOwnKey) {
		return nil, err
	}
	l, _ := c.find(id)
	if l == nil || !c.standsIn(l.validity) {
		return nil, err
	}
	f, why := c.openLocal(ctx, obj, l)
	if why != nil {
		c.discard(l, why)
		return nil, err
	}
	c.stats.stale.Add(1)
	return f, nil
}

// standsIn reports whether bytes that v vouches for may be handed out although
// the origin could not be asked. What was forgotten may not.
func (c *Cache) standsIn(v validity) bool {
	until := c.maxAge + c.stale
	if until < 0 { // beyond what can be counted
		until = Immutable
	}
	return !v.void && v.asked.Within(until, c.clock.Now())
}
