package filecache

import (
	"fmt"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// Forget removes the local copy of obj. Call it after the object was replaced at the
// origin. An Open of this Cache that starts after Forget returns uses no bytes that any
// process fetched before, even if the disk fails to remove the copy. A download in
// flight is not joined and not kept. Other processes may use a copy that they know until
// it is MaxAge old. A [Value] of obj is not served again, but stays in memory until its
// next Get or Acquire. Forget fails only if obj is invalid.
func (c *Cache) Forget(obj Object) error {
	id, err := c.identify(obj)
	if err != nil {
		return fmt.Errorf("filecache.Forget: %w", err)
	}
	id.sources(func(id ID) {
		c.flights.Invalidate(id.key()) // first: see flight.Call.Revoked
		c.store.Invalidate(store.Key(id))
		c.forgets.add(id) // last: see there
	})
	return nil
}

// Clear removes all local copies, as Forget does.
func (c *Cache) Clear() {
	c.flights.InvalidateAll()
	c.store.InvalidateAll()
	c.forgets.addAll()
}
