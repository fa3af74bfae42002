package cache

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func benchCache(b *testing.B, n int) (*Cache[string, *int], []string) {
	b.Helper()
	c := Must(New(Options[string, *int]{
		TTL: time.Hour, MaxEntries: 10_000,
		Load: func(context.Context, string) (*int, error) { return new(int), nil },
		LoadMany: func(_ context.Context, keys []string) (map[string]*int, error) {
			m := map[string]*int{}
			for _, k := range keys {
				m[k] = new(int)
			}
			return m, nil
		},
	}))
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("product:%08d", i)
		c.Get(background, keys[i])
	}
	return c, keys
}

func BenchmarkHit(b *testing.B) {
	c, keys := benchCache(b, 8192)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.Get(background, keys[i&8191])
		i++
	}
}

func BenchmarkHitParallel(b *testing.B) {
	c, keys := benchCache(b, 8192)
	b.RunParallel(func(pb *testing.PB) {
		i := 0
		for pb.Next() {
			c.Get(background, keys[i&8191])
			i++
		}
	})
}

func BenchmarkGetMany(b *testing.B) {
	c, keys := benchCache(b, 100)
	b.ReportAllocs()
	for b.Loop() {
		c.GetMany(background, keys)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(100*b.N), "ns/key")
}

func BenchmarkMiss(b *testing.B) {
	// As on Lambda: if the deadline comes before LoadTimeout, no timer is needed.
	deadline, cancel := context.WithTimeout(background, DefaultLoadTimeout-time.Second)
	defer cancel()
	for name, ctx := range map[string]context.Context{"uncancellable": background, "cancellable": b.Context(), "deadline": deadline} {
		b.Run(name, func(b *testing.B) {
			c := Must(New(Options[int, int]{TTL: time.Hour, Load: func(_ context.Context, n int) (int, error) { return n, nil }}))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				c.Get(ctx, n)
				n++
			}
		})
	}
}
