package cache

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// loadBatchThroughTier gets items from the Tier, and the others from LoadMany.
func (c *Cache[K, V]) loadBatchThroughTier(ctx context.Context, keys []K, at []*call[V], w want) {
	if w.refresh {
		w.deleted = uint32(c.flights.NextID())
		names := make([]string, len(at))
		for i, s := range at {
			names[i] = nameOf(c.tier.space, s.Key())
		}
		_ = c.deleteForRefresh(ctx, at[0], names...) // on an error, older records are not accepted
	}
	tierKeys := c.getManyFromTier(ctx, keys, at, w)
	var wanted []K
	var calls []*call[V]
	var asked []tierKey
	for i, q := range tierKeys {
		if !q.found {
			wanted, calls, asked = append(wanted, keys[i]), append(calls, at[i]), append(asked, q)
		}
	}
	if len(wanted) == 0 {
		return
	}
	items := c.loadAll(ctx, wanted, calls, c.clock.Now(), w)
	records := make([]TierRecord, len(wanted))
	for i, q := range asked {
		records[i] = c.recordOf(calls[i], q, items[i])
	}
	c.setInTier(ctx, calls[0], records...)
}

// getManyFromTier gets items from the Tier and sets their calls.
func (c *Cache[K, V]) getManyFromTier(ctx context.Context, keys []K, at []*call[V], w want) []tierKey {
	read := reading{c.clock.Now(), uint32(c.flights.NextID())}
	tierKeys, names := make([]tierKey, len(keys)), make([]string, len(keys))
	for i := range keys {
		tierKeys[i] = c.tier.key(at[i].Key())
		names[i] = tierKeys[i].name
	}
	tierCtx, cancel := c.tier.callContext(ctx, at[0].LatestDeadline)
	defer cancel()
	hits := int64(0)
	leases, err := c.tier.tier.GetMany(tierCtx, names, func(i int, b []byte) bool {
		it, ok := c.accept(at[i], keys[i], tierKeys[i].identity, b, w, read)
		if ok {
			tierKeys[i].found = true
			hits++
			at[i].Set(it)
		}
		return ok
	})
	c.tierFailed(ctx, err)
	c.stats.tierHits.Add(hits)
	c.stats.tierMisses.Add(int64(len(keys)) - hits)
	for i := range min(len(leases), len(tierKeys)) {
		tierKeys[i].lease = leases[i]
	}
	return tierKeys
}

// oneByOne makes a BatchTier of any Tier.
type oneByOne struct{ Tier }

// GetMany calls Get in the order of the names. In another order, two callers could wait
// for each other's leases.
func (t oneByOne) GetMany(ctx context.Context, names []string, use func(i int, record []byte) bool) ([]string, error) {
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(names[i], names[j]) })
	leases := make([]string, len(names))
	for _, i := range order {
		lease, err := t.Get(ctx, names[i], func(b []byte) bool { return use(i, b) })
		if err != nil {
			return leases, err
		}
		leases[i] = lease
	}
	return leases, nil
}

func (t oneByOne) DeleteMany(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		err = errors.Join(err, t.Delete(ctx, name))
	}
	return err
}

func (t oneByOne) SetMany(ctx context.Context, records []TierRecord) (err error) {
	for _, r := range records {
		err = errors.Join(err, t.Set(ctx, r))
	}
	return err
}
