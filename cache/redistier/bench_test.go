//go:build unix

package redistier

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
)

// A hit costs a GET and the checks of the record. The two keys evict each other from
// memory, so that each Get calls the server.
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
	bare := func(int) error {
		_, err := client.Get(background, key).Bytes()
		return err
	}
	through := func(ctx context.Context) func(i int) error {
		return func(i int) error {
			_, err := c.Get(ctx, "ab"[i&1:i&1+1])
			return err
		}
	}
	cancellable, cancel := context.WithCancel(background)
	defer cancel()
	before := c.Stats().Loads
	b.Run("cache", func(b *testing.B) { compare(b, bare, through(background)) })
	b.Run("cancellable", func(b *testing.B) { compare(b, bare, through(cancellable)) })
	if n := c.Stats().Loads - before; n > 0 {
		b.Errorf("%d loads", n)
	}
}

// compare calls both in turns, since the load of the machine changes faster than two
// benchmarks run, and reports the medians.
func compare(b *testing.B, bare, with func(i int) error) {
	const turn = 100
	var times [2][]float64
	for b.Loop() {
		for j, do := range []func(int) error{bare, with} {
			start := time.Now()
			for i := range turn {
				if err := do(i); err != nil {
					b.Fatal(err)
				}
			}
			times[j] = append(times[j], float64(time.Since(start).Nanoseconds())/turn)
		}
	}
	median := func(times []float64) float64 {
		slices.Sort(times)
		return times[len(times)/2]
	}
	x, y := median(times[0]), median(times[1])
	b.ReportMetric(x, "ns/bare")
	b.ReportMetric(y, "ns/with")
	b.ReportMetric(y/x, "ratio")
	b.ReportMetric(testing.AllocsPerRun(turn, func() { bare(0) }), "allocs/bare")
	b.ReportMetric(testing.AllocsPerRun(turn, func() { with(0); with(1) })/2, "allocs/with")
	b.ReportMetric(0, "ns/op")
}

// This is the cost of a miss while the server is known to be dead.
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
