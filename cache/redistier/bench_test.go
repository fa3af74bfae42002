//go:build unix

package redistier

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
)

// A hit is a GET and what it takes to trust the answer. The two keys of the cache push
// each other out of memory, so that each is asked for at the server.
func BenchmarkHit(b *testing.B) {
	needs(b, "redis-server")
	s := startServer(b)
	value := strings.Repeat("x", 1000)
	client := s.client()
	tier := newTier(b, patient(client))
	c := newCache(b, tier, nil, func(o *cache.Options[string, string]) {
		o.MaxEntries, o.TTL = 1, time.Hour
		o.Load = func(context.Context, string) (string, error) { return value, nil }
		o.Codec = cache.Codec[string]{
			Encode: func(s string) ([]byte, error) { return []byte(s), nil },
			Decode: func(b []byte) (string, error) { return string(b), nil },
		}
	})
	c.Get(background, "a")
	c.Get(background, "b")
	key := tier.record("test/1:a")
	b.Run("bare GET", func(b *testing.B) {
		for b.Loop() {
			if _, err := client.Get(background, key).Bytes(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cache", func(b *testing.B) {
		before := c.Stats().Loads
		for i := 0; b.Loop(); i++ {
			if _, err := c.Get(background, "ab"[i&1:i&1+1]); err != nil {
				b.Fatal(err)
			}
		}
		if n := c.Stats().Loads - before; n > 0 {
			b.Errorf("%d loads", n)
		}
	})
}

// What a dead server costs a miss, once it is known to be dead.
func BenchmarkDeadServer(b *testing.B) {
	client := closed(b, Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}}))
	for name, tier := range map[string]cache.Tier{"without": nil, "with": newTier(b, Options{Client: client})} {
		b.Run(name, func(b *testing.B) {
			c := newCache(b, tier, nil, func(o *cache.Options[string, string]) {
				if o.MaxEntries = 1; tier == nil {
					o.Namespace, o.Codec = "", cache.Codec[string]{}
				}
				o.Load = func(context.Context, string) (string, error) { return "v", nil }
			})
			for i := 0; b.Loop(); i++ {
				c.Get(background, "ab"[i&1:i&1+1])
			}
		})
	}
}
