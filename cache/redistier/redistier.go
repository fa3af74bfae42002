// Package redistier lets the containers of a function share what package cache
// keeps, on a Valkey or Redis server or cluster:
//
//	var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
//		Load:      loadProduct,
//		TTL:       time.Minute,
//		Tier:      redistier.Must(redistier.New(redistier.Options{Client: client})),
//		Namespace: "shop/product/1",
//		Codec:     cache.JSON[Product](),
//	}))
//
// A server that is slow or dead costs a call Timeout, and then nothing: calls fail
// at once until one of them, now and then, finds it well again. One container
// loads a key, others wait for it a while. Keys that are deleted in one container
// are not brought back by a load that began before in another one, also when the
// server evicts, forgets or is flushed at any moment. Only a failover to a replica
// that had not heard of a Delete may bring a record back, until its TTL.
//
// It uses github.com/redis/go-redis because that connects when it is first used,
// and keeps neither goroutine nor timer while nothing is asked: it does not mind
// being frozen. The other well-kept client, valkey-go, connects when it is made, and
// pings by a timer; its pipelining, which is fast, is for servers with many
// requests at a time.
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

// What counts where Options say nothing.
const (
	// DefaultTimeout is many times what a server in the same region takes, and more
	// than the pauses of a container that has a tenth of a processor.
	DefaultTimeout = 25 * time.Millisecond

	// DefaultConnectTimeout has room for a TLS handshake in such a container.
	DefaultConnectTimeout = 250 * time.Millisecond

	// DefaultLease is longer than most queries.
	DefaultLease = 500 * time.Millisecond

	// DefaultWait has room for a container that dies with its lease, and for the
	// next one's load.
	DefaultWait = time.Second

	// DefaultPrefix stands before all keys.
	DefaultPrefix = "warmcache:"
)

// Options say how a Tier uses its server. Only Client is required. Negative durations
// are errors, but for Wait.
type Options struct {
	// Client is what Connect returns, or a *redis.Client or *redis.ClusterClient of
	// your own. That one needs ContextTimeoutEnabled, or calls would not end in time,
	// and must not have ReadOnly, what goes with it, or a ClientSideCache, or what was
	// deleted from the master could still be read elsewhere. The Tier does not close
	// it. Required.
	Client redis.UniversalClient

	// Timeout is how long one call of the server may take; when many keys are asked
	// for at once, as much again for each fifty. After calls that took longer none is
	// made for a while, so it must be enough for the largest values. Zero means
	// DefaultTimeout.
	Timeout time.Duration

	// ConnectTimeout is Timeout for the calls of a new process until the first
	// answer. Zero means DefaultConnectTimeout.
	ConnectTimeout time.Duration

	// Lease is how long a container that loads a key keeps others from loading it.
	// Zero means DefaultLease.
	Lease time.Duration

	// Wait is how long a Get waits for what another container loads, before it
	// loads itself. It should be longer than Lease, and shorter than TierTimeout of
	// the Cache. Zero means DefaultWait; negative means not at all.
	Wait time.Duration

	// Prefix stands before all keys at the server. It has no braces, which mean
	// something in a cluster. Empty means DefaultPrefix.
	Prefix string
}

// A Tier is a cache.BatchTier on a server. Several Caches may share it. It is safe
// for concurrent use, starts no goroutine and needs no Close. The zero Tier is not
// usable: call New.
type Tier struct {
	opts     Options
	client   redis.UniversalClient
	clock    *clock.Clock
	breakers []breaker // by slot in a cluster, else one
	stats    counters
}

var _ cache.BatchTier = (*Tier)(nil)

// New returns a Tier. It asks the server nothing yet.
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
		return errors.New("Options.Timeout, ConnectTimeout and Lease must not be negative")
	case o.Lease > 0 && o.Lease < time.Millisecond:
		return errors.New("Options.Lease is below a millisecond, which is what servers count in")
	case strings.ContainsAny(o.Prefix, "{}"):
		return errors.New("Options.Prefix has a brace")
	}
	return checkClient(o.Client)
}

func checkClient(client redis.UniversalClient) error {
	switch c := client.(type) {
	case nil:
		return errors.New("no Options.Client")
	case *redis.Client:
		switch o := c.Options(); {
		case !o.ContextTimeoutEnabled:
			return errNoTimeouts
		case o.ClientSideCacheConfig != nil, o.ClientSideCache != nil:
			return errors.New("Options.Client keeps copies in this process, which may be of what was deleted")
		}
	case *redis.ClusterClient:
		switch o := c.Options(); {
		case !o.ContextTimeoutEnabled:
			return errNoTimeouts
		case o.ReadOnly:
			return errors.New("Options.Client reads from replicas, which may have what was deleted")
		}
	default:
		// A Ring moves keys to other servers while one is away, and would then find
		// there what was deleted here.
		return fmt.Errorf("Options.Client is a %T: it must be a *redis.Client or *redis.ClusterClient", client)
	}
	return nil
}

var errNoTimeouts = errors.New("Options.Client has not ContextTimeoutEnabled, and would not keep to Options.Timeout")

// Set implements cache.Tier.
func (t *Tier) Set(ctx context.Context, r cache.TierRecord) error {
	return t.call(ctx, t.breaker(r.Name), 1, func(ctx context.Context) error {
		return t.set(ctx, t.client, r).Err()
	})
}

// Delete implements cache.Tier. It asks the server even while other calls do not: to
// delete is worth Timeout.
func (t *Tier) Delete(ctx context.Context, name string) error {
	b := t.breaker(name)
	return t.try(ctx, b, b.current(), 1, func(ctx context.Context) error {
		return t.client.Del(ctx, t.keys(name)...).Err()
	})
}
