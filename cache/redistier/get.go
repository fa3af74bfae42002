package redistier

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Get implements [cache.Tier].
func (t *Tier) Get(ctx context.Context, name string, use func(record []byte) bool) (lease string, err error) {
	b := t.breaker(name)
	var record []byte
	err = t.call(ctx, b, 1, func(ctx context.Context) (err error) {
		record, err = found(t.client.Get(ctx, t.record(name)))
		return err
	})
	if err != nil || record != nil && use(record) {
		return "", err
	}
	return t.lease(ctx, b, leaseRequest{name: name, nonce: newNonce(), seen: record}, use)
}

// found returns the record, or nil if there is none. A key of another type holds none;
// leaseScript removes it.
func found(c *redis.StringCmd) ([]byte, error) {
	record, err := c.Bytes()
	if errors.Is(err, redis.Nil) || err != nil && isWrongType(err) {
		return nil, nil
	}
	return record, err
}

// lease waits until there is a usable record, or this caller holds the lease.
func (t *Tier) lease(ctx context.Context, b *breaker, q leaseRequest, use func([]byte) bool) (lease string, err error) {
	for w := t.newWait(ctx); ; w.sleep(ctx) {
		var record []byte
		err := t.call(ctx, b, 1, func(ctx context.Context) (err error) {
			record, lease, err = q.reply(t.requestLease(ctx, t.client, q, w.over()))
			return err
		})
		switch {
		case err != nil:
			return "", err
		case lease != "":
			t.stats.leases.Add(1)
			return lease, nil
		case record != nil && use(record):
			return "", nil
		case record != nil:
			q.seen = record
		}
	}
}
