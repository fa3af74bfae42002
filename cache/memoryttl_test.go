package cache

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// Memory serves a value for MemoryTTL, counted from the read of the Tier. Then the
// Tier is read again, but not the origin.
func TestMemoryTTL(t *testing.T) {
	for name, move := range map[string]func(*clocktest.Clocks, time.Duration){
		"both":      func(c *clocktest.Clocks, d time.Duration) { c.Move(d, d) },
		"wall":      func(c *clocktest.Clocks, d time.Duration) { c.Move(d, 0) },
		"monotonic": func(c *clocktest.Clocks, d time.Duration) { c.Move(0, d) },
	} {
		t.Run(name, func(t *testing.T) {
			tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
			memory := func(o *Options[string, string]) { o.MemoryTTL = 10 * time.Second }
			a := newTest(t, o, clocks.Clock(), withTier(tier), memory)
			b := newTest(t, o, clocks.Clock(), withTier(tier), memory)
			wantGet(t, a, "k", "k v1")
			clocks.Move(30*time.Second, 30*time.Second)
			wantGet(t, b, "k", "k v1")
			tier.calls = 0
			move(clocks, 10*time.Second-1)
			wantGet(t, b, "k", "k v1")
			if tier.calls != 0 {
				t.Error("the Tier was called too early")
			}
			move(clocks, 1)
			wantGet(t, b, "k", "k v1")
			if tier.calls != 1 {
				t.Errorf("the Tier was called %d times", tier.calls)
			}
			wantLoads(t, o, 1)
			if err := a.Invalidate(background, "k"); err != nil {
				t.Fatal(err)
			}
			wantGet(t, b, "k", "k v1")
			move(clocks, 10*time.Second)
			wantGet(t, b, "k", "k v2")
		})
	}
}

// If a process is frozen while the Tier answers, it serves the value no longer than
// MemoryTTL after its call.
func TestMemoryTTLCountsFromTheCall(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v1")
	slow := slowGet{tier, func() { clocks.Move(8*time.Second, 8*time.Second) }}
	c := newTest(t, o, clocks.Clock(), withTier(slow), func(o *Options[string, string]) { o.MemoryTTL = 10 * time.Second })
	wantGet(t, c, "k", "k v1")
	clocks.Move(2*time.Second, 2*time.Second)
	if _, ok := c.Peek("k"); ok {
		t.Error("kept too long")
	}
}

// slowGet is a Tier in whose Get time passes before use is called.
type slowGet struct {
	*fakeTier
	pass func()
}

func (s slowGet) Get(ctx context.Context, name string, use func([]byte) bool) (string, error) {
	return s.fakeTier.Get(ctx, name, func(b []byte) bool { s.pass(); return use(b) })
}

// MemoryTTL changes neither the record in the Tier nor how long a stale value is
// served.
func TestMemoryTTLIsOfMemoryAlone(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	c := newTest(t, o, clocks.Clock(), withTier(tier), func(o *Options[string, string]) {
		o.MemoryTTL, o.StaleIfError, o.MissingTTL = 100*time.Millisecond, time.Hour, 30*time.Second
	})
	wantGet(t, c, "k", "k v1")
	if d := tier.sets[0].TTL; d != time.Hour+time.Minute {
		t.Errorf("the Tier keeps it for %v", d)
	}
	clocks.Move(time.Hour, time.Hour)
	o.err = errors.New("down")
	tier.err = errors.New("down")
	wantGet(t, c, "k", "k v1")
	tier.err, o.err = nil, ErrNotFound
	c.Get(background, "missing")
	if d := tier.sets[len(tier.sets)-1].TTL; d != 30*time.Second {
		t.Errorf("the Tier keeps the known miss for %v", d)
	}
	clocks.Move(100*time.Millisecond, 0)
	before := o.calls.Load()
	if _, err := c.Get(background, "missing"); !errors.Is(err, ErrNotFound) || o.calls.Load() != before {
		t.Errorf("Get of a known miss in the Tier = %v after %d loads", err, o.calls.Load()-before)
	}
}

// A fleet whose secret was rotated makes one load, although no clock tells which record
// is newer.
func TestNewerOverATier(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	var fleet []*Cache[string, string]
	var entries []Entry[string]
	for i := range 20 {
		c := newTest(t, o, clocks.Clock(), withTier(tier))
		e, err := c.Lookup(background, "k")
		wantEntry(t, e, err, "k v1", map[bool]Source{true: Loaded, false: TierHit}[i == 0])
		fleet, entries = append(fleet, c), append(entries, e)
	}
	for i, c := range fleet {
		e, err := c.Newer(background, "k", entries[i])
		wantEntry(t, e, err, "k v2", map[bool]Source{true: Loaded, false: TierHit}[i == 0])
		again, err := c.Newer(background, "k", entries[i])
		wantEntry(t, again, err, "k v2", Hit)
	}
	wantLoads(t, o, 2)
	if e, err := fleet[7].Newer(background, "k", entries[7]); e.Value != "k v2" || err != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

// GetWithin accepts no record that may be older than maxAge.
func TestGetWithinOverATier(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v1")
	clocks.Move(10*time.Second, 10*time.Second)
	c := newTest(t, o, clocks.Clock(), withTier(tier))
	if v, err := c.GetWithin(background, "k", 11*time.Second+1); v != "k v1" || err != nil { // a second of it is ClockSkew
		t.Errorf("%q, %v", v, err)
	}
	if v, err := c.GetWithin(background, "k", 11*time.Second); v != "k v2" || err != nil {
		t.Errorf("%q, %v", v, err)
	}
}

// RefreshMany over a BatchTier is one round trip each to delete, to read and to store.
func TestRefreshManyOverATier(t *testing.T) {
	tier, o := newFakeTier(), &origin{}
	load := func(opts *Options[string, string]) {
		opts.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
			v, err := o.load(ctx, "")
			m := map[string]string{}
			for _, k := range keys {
				m[k] = k + v
			}
			return m, err
		}
	}
	a := newTest(t, o, clock.New(), withTier(tier), load)
	a.GetMany(background, []string{"a", "b"})
	r, err := a.RefreshMany(background, []string{"a", "b"})
	if err != nil || r[0].Value != "a v2" || r[1].Value != "b v2" {
		t.Errorf("%v, %v", r, err)
	}
	b := newTest(t, o, clock.New(), withTier(tier), load)
	wantMany(t, b, "a b", "a v2", "b v2")
}

// The errors of New come in a fixed order, and print durations as durations.
func TestOrderOfValidation(t *testing.T) {
	for range 20 {
		err := newErr(Options[string, string]{Load: (&origin{}).load, TTL: 1, MissingTTL: -time.Second, LoadTimeout: -time.Minute, TierTimeout: -1})
		if err == nil || !strings.Contains(err.Error(), "Options.MissingTTL is negative (-1s)") {
			t.Fatal(err)
		}
	}
}

// A value with a zero or negative TTL is not returned to callers that joined its
// load after it had begun.
func TestNegativeTTLJoinsLikeZero(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.TTLOf = func(string, string) time.Duration { return ttl }
		})
		if d := c.ttlOf("k", "v"); d != 0 {
			t.Errorf("a TTL of %v counts as %v", ttl, d)
		}
	}
}

// A Refresh that joins a queued GetWithin, which has found the Tier's record in memory,
// loads for itself.
func TestRefreshBehindGetWithinOverATier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier, o, gate := newFakeTier(), &origin{}, make(chan struct{})
		wantGet(t, newTest(t, o, clock.New(), withTier(tier)), "k", "k v1")
		c := newTest(t, o, clock.New(), withTier(slowGet{tier, func() { <-gate }}))
		var wg sync.WaitGroup
		wg.Go(func() { wantGet(t, c, "k", "k v1") })
		time.Sleep(2 * time.Second) // the Get is too old to be joined
		wg.Go(func() { c.GetWithin(background, "k", 30*time.Second) })
		synctest.Wait()
		wg.Go(func() {
			if v, err := c.Refresh(background, "k"); v != "k v2" || err != nil {
				t.Errorf("Refresh = %q, %v", v, err)
			}
		})
		synctest.Wait()
		close(gate)
		wg.Wait()
		wantGet(t, c, "k", "k v2")
	})
}

// A Tier that takes longer than MemoryTTL is read once for a Get.
func TestMemoryTTLShorterThanTheTier(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v1")
	for name, get := range map[string]func(*Cache[string, string]) string{
		"Get": func(c *Cache[string, string]) string {
			v, _ := c.Get(background, "k")
			return v
		},
		"GetMany": func(c *Cache[string, string]) string {
			r, _ := c.GetMany(background, []string{"k"})
			return r[0].Value
		},
	} {
		calls := 0
		slow := slowGet{tier, func() {
			if calls++; calls > 3 {
				t.Fatalf("%s: read again and again", name)
			}
			clocks.Move(100*time.Millisecond, 100*time.Millisecond)
		}}
		c := newTest(t, o, clocks.Clock(), withTier(slow), func(o *Options[string, string]) { o.MemoryTTL = 10 * time.Millisecond })
		if v := get(c); v != "k v1" || calls != 1 {
			t.Errorf("%s = %q after %d calls of the Tier", name, v, calls)
		}
	}
}
