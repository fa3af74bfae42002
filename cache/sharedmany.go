package cache

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// loadBatchShared asks the Tier for keys, and LoadMany for what it does not have.
func (c *Cache[K, V]) loadBatchShared(ctx context.Context, keys []K, at []*seat[V], w want) {
	if w.refresh {
		c.refreshManyShared(ctx, at)
	}
	questions := c.askShared(ctx, keys, at, w)
	var wanted []K
	var seats []*seat[V]
	var asked []question
	for i, q := range questions {
		if !q.answered {
			wanted, seats, asked = append(wanted, keys[i]), append(seats, at[i]), append(asked, q)
		}
	}
	if len(wanted) == 0 {
		return
	}
	items := c.loadAll(ctx, wanted, seats, c.clock.Now(), w)
	records := make([]TierRecord, len(wanted))
	for i, q := range asked {
		records[i] = c.recordOf(seats[i], q, items[i])
	}
	c.answer(ctx, seats[0], records...)
}

// refreshManyShared removes the keys of a refresh from the Tier. If that fails, what the
// Tier may have of them is not believed here.
func (c *Cache[K, V]) refreshManyShared(ctx context.Context, at []*seat[V]) {
	for _, s := range at {
		_ = c.refreshShared(ctx, s, nameOf(c.shared.space, s.Key()))
	}
}

// askShared asks the Tier for keys, and sets the seats of those that it has.
func (c *Cache[K, V]) askShared(ctx context.Context, keys []K, at []*seat[V], w want) []question {
	asked := c.clock.Now()
	questions, names := make([]question, len(keys)), make([]string, len(keys))
	for i := range keys {
		questions[i] = c.shared.question(at[i].Key())
		names[i] = questions[i].name
	}
	tierCtx, cancel := c.shared.within(ctx, at[0].LatestDeadline)
	defer cancel()
	hits := int64(0)
	leases, err := c.shared.tier.GetMany(tierCtx, names, func(i int, b []byte) bool {
		it, ok := c.take(at[i], keys[i], questions[i].identity, b, w, asked)
		if ok {
			questions[i].answered = true
			hits++
			at[i].Set(it)
		}
		return ok
	})
	c.failed(ctx, err)
	c.stats.tierHits.Add(hits)
	c.stats.tierMisses.Add(int64(len(keys)) - hits)
	for i := range min(len(leases), len(questions)) {
		questions[i].lease = leases[i]
	}
	return questions
}

// oneByOne makes a BatchTier of any Tier.
type oneByOne struct{ Tier }

// GetMany asks in the order of the names: two callers that wait for each other's
// leases would else wait in vain.
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

func (t oneByOne) SetMany(ctx context.Context, records []TierRecord) (err error) {
	for _, r := range records {
		err = errors.Join(err, t.Set(ctx, r))
	}
	return err
}
