package redistier

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/warmcache/warmcache/internal/clock"
)

// Connect returns a client for a [Tier]: of a cluster if o has several Addrs or sets
// IsClusterMode, else of a single server. It connects when it is first used.
//
// Fields of o that are zero get defaults for a process that may be frozen at any
// moment. The client obeys the deadline of each call's context. It replaces a broken
// connection once, without delay. It sends no optional commands. A connection attempt
// that outlasts its call is finished within DialTimeout, by default a second, and
// serves the next call.
//
// After a freeze the peer may have dropped all idle connections silently. The client
// does not use a connection again that was idle for ConnMaxIdleTime (default:
// DefaultIdle; negative: no limit), or through a freeze that the clocks show. When a
// call times out, it also drops all connections that have not answered since the call
// began.
//
// The client logs each failed connection attempt to stderr, with the address but
// without the password. A dead server causes many. Call redis.SetLogger, which affects
// the whole process, to log elsewhere.
func Connect(o *redis.UniversalOptions) redis.UniversalClient { return connect(o, clock.New()) }

func connect(o *redis.UniversalOptions, clk *clock.Clock) redis.UniversalClient {
	c := *o
	c.ContextTimeoutEnabled = true
	c.MaxRetries = orInt(c.MaxRetries, 1)
	c.MinRetryBackoff = orDefault(c.MinRetryBackoff, time.Millisecond)
	c.MaxRetryBackoff = orDefault(c.MaxRetryBackoff, time.Millisecond)
	c.DialTimeout = orDefault(c.DialTimeout, time.Second)
	c.DialerRetries = orInt(c.DialerRetries, 1)
	c.ReadTimeout = orDefault(c.ReadTimeout, time.Second)
	c.Protocol = orInt(c.Protocol, 2) // no pushes
	// Once PoolSize dials in a row have failed, the client starts a goroutine that keeps
	// dialing. This size prevents it. The process never has more connections than calls
	// at one time.
	c.PoolSize = orInt(c.PoolSize, 1000)
	c.PipelinePoolSize = orInt(c.PipelinePoolSize, -1) // no second pool, which would have 10 connections
	c.DisableIdentity = true
	if c.MaintNotificationsConfig == nil {
		c.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	c.ConnMaxIdleTime = orDefault(c.ConnMaxIdleTime, DefaultIdle)
	idle := c.ConnMaxIdleTime
	if idle < 0 {
		idle = clock.Forever
	}
	dial := c.Dialer
	if dial == nil {
		dial = redis.NewDialer(&redis.Options{DialTimeout: c.DialTimeout, TLSConfig: c.TLSConfig})
	}
	c.Dialer = newDialer(dial, idle, clk).Dial
	return redis.NewUniversalClient(&c)
}

// ConnectURL is [Connect] for a URL in the format of redis.ParseURL, such as
// rediss://user:password@host:6379/0. Query parameters are ignored. The error does not
// contain the URL, which may have a password.
func ConnectURL(url string) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("redistier.ConnectURL: redis.ParseURL rejects the URL, which is not shown because it may contain a password")
	}
	return Connect(&redis.UniversalOptions{
		Addrs:     []string{o.Addr},
		Username:  o.Username,
		Password:  o.Password,
		DB:        o.DB,
		TLSConfig: o.TLSConfig,
	}), nil
}

func orInt(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
