// Package redistier lets the containers of a function share the values of a
// [cache.Cache], on a Valkey or Redis server or cluster:
//
//	var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
//		Load:      loadProduct,
//		TTL:       time.Minute,
//		Tier:      redistier.Must(redistier.New(redistier.Options{Client: client})),
//		Namespace: "shop/product/1",
//		Codec:     cache.JSON[Product](),
//	}))
//
// A server that is slow or dead costs one call Timeout. After that calls fail at
// once, except for one now and then that tries the server again. One container
// loads a key, and others wait for it for up to Wait. After a Delete in one
// container, no load that began before it in another one restores the record, even
// if the server evicts or loses keys or is flushed at any moment. Only a failover to
// a replica that has not seen the Delete may restore a record, until its TTL.
//
// It uses github.com/redis/go-redis because that connects when it is first used,
// and has no goroutine and no timer between calls, so that it can be frozen. The
// other well-maintained client, valkey-go, connects when it is made, and pings by a
// timer; its fast pipelining is for processes with many requests at a time.
package redistier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/clock"
)

// Defaults for Options fields that are zero.
const (
	// DefaultTimeout is many times the latency of a server in the same region, and more
	// than the pauses of a container that has a tenth of a processor.
	DefaultTimeout = 25 * time.Millisecond

	// DefaultConnectTimeout has room for a TLS handshake in such a container.
	DefaultConnectTimeout = 250 * time.Millisecond

	// DefaultLease is longer than most queries.
	DefaultLease = 500 * time.Millisecond

	// DefaultWait allows for a container that dies with its lease, and for the load of
	// the next one.
	DefaultWait = time.Second

	// DefaultPrefix is the prefix of all keys.
	DefaultPrefix = "warmcache:"
)

// Options configure a [Tier]. Only Client is required. Negative durations are errors,
// except for Wait.
type Options struct {
	// Client is the result of [Connect], or a *redis.Client or *redis.ClusterClient of
	// your own. Set ContextTimeoutEnabled on your own client, or Timeout cannot be
	// enforced. Do not set ReadOnly, RouteByLatency, RouteRandomly or a
	// ClientSideCache: a deleted record could still be read from a replica or from
	// memory. The Tier does not close the client. Required.
	Client redis.UniversalClient

	// Timeout is how long one call of the server may take. A call about many keys may
	// take as much again for each fifty. After a call that timed out, the Tier makes no
	// calls for a while, so Timeout must suffice for the largest values. Zero means
	// DefaultTimeout.
	Timeout time.Duration

	// ConnectTimeout replaces Timeout in a new process until the first answer. Zero
	// means DefaultConnectTimeout.
	ConnectTimeout time.Duration

	// Lease is how long a container that loads a key keeps others from loading it.
	// Zero means DefaultLease.
	Lease time.Duration

	// Wait is how long a Get waits for the record that another container loads, before
	// the caller loads itself. It should be longer than Lease, and shorter than the
	// Cache's TierTimeout. [cache.Cache.Newer] needs two calls of the server after the
	// first record: containers share its one Load only if Wait and TierTimeout are
	// longer than two Timeouts. Zero means DefaultWait; negative means that Get does
	// not wait.
	Wait time.Duration

	// Prefix is the prefix of all keys at the server. It must not contain braces, which
	// have a meaning in a cluster. Empty means DefaultPrefix.
	Prefix string
}

// A Tier is a [cache.BatchTier] on a server. Several Caches may share it. It is safe
// for concurrent use, starts no goroutine and needs no Close. The zero Tier is not
// usable: call [New].
type Tier struct {
	opts     Options
	client   redis.UniversalClient
	clock    *clock.Clock
	breakers []breaker // by slot in a cluster, else one
	stats    counters
}

var _ cache.BatchTier = (*Tier)(nil)

// New returns a [Tier]. It does not call the server.
func New(o Options) (*Tier, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("redistier.New: %w", err)
	}
	o.Timeout = orDefault(o.Timeout, DefaultTimeout)
	o.ConnectTimeout = max(orDefault(o.ConnectTimeout, DefaultConnectTimeout), o.Timeout)
	o.Lease = orDefault(o.Lease, DefaultLease)
	o.Wait = orDefault(o.Wait, DefaultWait)
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	n := 1
	if _, ok := o.Client.(*redis.ClusterClient); ok {
		n = clusterBreakers
	}
	return &Tier{opts: o, client: o.Client, clock: clock.New(), breakers: make([]breaker, n)}, nil
}

// Must returns t, or panics if err is not nil. It is for package-level variables:
// redistier.Must(redistier.New(...)).
func Must(t *Tier, err error) *Tier {
	if err != nil {
		panic(err)
	}
	return t
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (o *Options) validate() error {
	switch {
	case o.Timeout < 0, o.ConnectTimeout < 0, o.Lease < 0:
		return fmt.Errorf("Options.Timeout, ConnectTimeout and Lease are %v, %v and %v: they must not be negative; zero means the default", o.Timeout, o.ConnectTimeout, o.Lease)
	case o.Lease > 0 && o.Lease < time.Millisecond:
		return fmt.Errorf("Options.Lease is %v: it must be at least a millisecond, the resolution of servers", o.Lease)
	case strings.ContainsAny(o.Prefix, "{}"):
		return fmt.Errorf("Options.Prefix is %q: it must not contain braces", o.Prefix)
	}
	return checkClient(o.Client)
}

func checkClient(client redis.UniversalClient) error {
	switch c := client.(type) {
	case nil:
		return errors.New("Options.Client is nil: it is required")
	case *redis.Client:
		switch o := c.Options(); {
		case !o.ContextTimeoutEnabled:
			return errNoTimeouts
		case o.ClientSideCacheConfig != nil, o.ClientSideCache != nil:
			return errors.New("Options.Client has a client-side cache, which may return deleted records: turn it off")
		}
	case *redis.ClusterClient:
		switch o := c.Options(); {
		case !o.ContextTimeoutEnabled:
			return errNoTimeouts
		case o.ReadOnly:
			return errors.New("Options.Client reads from replicas, which may return deleted records: do not set ReadOnly, RouteByLatency or RouteRandomly")
		}
	default:
		// A Ring moves keys to other servers while one is down, and would then find
		// deleted records there.
		return fmt.Errorf("Options.Client is a %T: it must be a *redis.Client or *redis.ClusterClient", client)
	}
	return nil
}

var errNoTimeouts = errors.New("Options.Client does not set ContextTimeoutEnabled: Options.Timeout cannot be enforced without it (redistier.Connect sets it)")

// Set implements [cache.Tier].
func (t *Tier) Set(ctx context.Context, r cache.TierRecord) error {
	return t.call(ctx, t.breaker(r.Name), 1, func(ctx context.Context) error {
		return t.set(ctx, t.client, r).Err()
	})
}

// Delete implements [cache.Tier]. It calls the server even while the breaker is open: a
// Delete is worth waiting for Timeout.
func (t *Tier) Delete(ctx context.Context, name string) error {
	b := t.breaker(name)
	return t.try(ctx, b, b.current(), 1, func(ctx context.Context) error {
		return t.client.Del(ctx, t.keys(name)...).Err()
	})
}
