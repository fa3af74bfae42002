package redistier

import (
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Connect returns a client for a Tier: of a cluster if o has several Addrs or says
// so, else of a server. It connects when it is first used. What o leaves open is set
// as befits a process that may be frozen at any moment: contexts end calls, a broken
// connection is replaced once and at once, and nothing is sent that is not needed. A
// connection that a call has begun may be made after it, within DialTimeout, a second if
// it is not set, for the next one.
//
// The client writes a line to stderr for each connection that it cannot make, which
// are many while a server is dead. It names the address, but no password.
// redis.SetLogger, which is for the whole process, has it write elsewhere.
func Connect(o *redis.UniversalOptions) redis.UniversalClient {
	c := *o
	c.ContextTimeoutEnabled = true
	c.MaxRetries = orInt(c.MaxRetries, 1)
	c.MinRetryBackoff = orDefault(c.MinRetryBackoff, time.Millisecond)
	c.MaxRetryBackoff = orDefault(c.MaxRetryBackoff, time.Millisecond)
	c.DialTimeout = orDefault(c.DialTimeout, time.Second)
	c.DialerRetries = orInt(c.DialerRetries, 1)
	c.ReadTimeout = orDefault(c.ReadTimeout, time.Second)
	c.Protocol = orInt(c.Protocol, 2) // no pushes
	// The client starts a goroutine that dials again and again when as many dials have
	// failed as the pool has places. So many are not needed for anything else: a
	// process has as many connections as it makes calls at once.
	c.PoolSize = orInt(c.PoolSize, 1000)
	c.PipelinePoolSize = orInt(c.PipelinePoolSize, -1) // no second one, of 10 places, with connections of its own
	c.DisableIdentity = true
	if c.MaintNotificationsConfig == nil {
		c.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	}
	return redis.NewUniversalClient(&c)
}

// ConnectURL is Connect for a URL as redis.ParseURL takes it, such as
// rediss://user:password@host:6379/0. What comes after a question mark does not count.
// Its error does not show the URL.
func ConnectURL(url string) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("redistier.ConnectURL: the URL is not one of redis.ParseURL; it is not shown, as it may have a password")
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
