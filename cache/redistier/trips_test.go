//go:build unix

package redistier

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// trips counts the round trips of a client.
type trips struct{ atomic.Int64 }

func (n *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		n.Add(1)
		return next(ctx, cmd)
	}
}

func (n *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		n.Add(1)
		return next(ctx, cmds)
	}
}

// A hit is one round trip, for any number of keys. A miss is three: the read, the
// lease, and the record.
func TestRoundTrips(t *testing.T) {
	client := startServer(t).client()
	if err := client.Ping(background).Err(); err != nil { // a greeting comes before the first command
		t.Fatal(err)
	}
	n := &trips{}
	client.AddHook(n)
	o := &origin{}
	one, other := newCache(t, newTier(t, patient(client)), o), newCache(t, newTier(t, patient(client)), o)
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	for _, c := range []struct {
		what string
		do   func() error
		want int64
	}{
		{"a miss", func() error { _, err := one.Get(background, "k"); return err }, 3},
		{"a hit", func() error { _, err := other.Get(background, "k"); return err }, 1},
		{"a hit in memory", func() error { _, err := other.Get(background, "k"); return err }, 0},
		{"misses", func() error { _, err := one.GetMany(background, keys); return err }, 3},
		{"hits", func() error { _, err := other.GetMany(background, keys); return err }, 1},
		{"Invalidate", func() error { return one.Invalidate(background, "k") }, 1},
		{"InvalidateMany", func() error { return one.InvalidateMany(background, keys) }, 1},
	} {
		before := n.Load()
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		if got := n.Load() - before; got != c.want {
			t.Errorf("%s takes %d round trips, want %d", c.what, got, c.want)
		}
	}
}
