package cache

import "context"

// InvalidateMany is [Cache.Invalidate] for many keys, with one round trip to the Tier
// if it is a [BatchTier]. It takes at most TierTimeout. After an error, the Tier may
// still have any of the keys.
//
// Without a Tier, it calls [Cache.Delete] for each key and returns nil.
func (c *Cache[K, V]) InvalidateMany(ctx context.Context, keys []K) (err error) {
	if len(keys) == 0 {
		return nil
	}
	encoded := make([]string, len(keys))
	for i, key := range keys {
		encoded[i] = c.encode(key)
	}
	if c.tier != nil { // before the loop, for the reason in Invalidate
		names := make([]string, len(keys))
		for i, key := range encoded {
			names[i] = nameOf(c.tier.space, key)
		}
		tierCtx, cancel := context.WithTimeout(ctx, c.tier.budget)
		defer cancel()
		err = c.deleteFromTier(tierCtx, names...)
	}
	for i, key := range keys {
		c.kept.remove(key, func() { c.flights.Invalidate(encoded[i]) })
	}
	return err
}
