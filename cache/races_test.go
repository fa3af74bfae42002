package cache

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/flight"
)

// A Get that missed long ago starts its flight during a Delete. If it could start
// between the two steps of Delete, the flight would find the old value in its second
// lookup, not be invalidated, and be joined by later Gets.
func TestDeleteAgainstTheSecondLook(t *testing.T) {
	for name, invalidate := range map[string]func(*Cache[string, string]){
		"Delete": func(c *Cache[string, string]) { c.Delete("k") },
		"Clear":  func(c *Cache[string, string]) { c.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTest(t, &origin{}, clock.New())
			wantGet(t, c, "k", "k v1")

			c.kept.lock.Lock()
			deleted := make(chan struct{})
			go func() { invalidate(c); close(deleted) }()
			time.Sleep(20 * time.Millisecond) // it waits for the lock; too early only makes the test blind

			slow, looked := make(chan struct{}), make(chan struct{})
			go c.flights.Do(background, flight.Request[item[string]]{Key: c.encode("k"), Terms: c.terms(anyFresh),
				Load: func(context.Context, *call[string]) (item[string], error) {
					it, _ := c.kept.items.Peek("k") // the steps of the second lookup: the test holds the lock
					c.kept.lock.Unlock()
					close(looked)
					<-slow
					return it, nil
				}})
			<-looked
			<-deleted

			after := get(c, background)
			time.Sleep(20 * time.Millisecond) // it joins the flight, if it can
			close(slow)
			if got := <-after; got != "k v2 <nil>" {
				t.Errorf("a Get that started after %s got %q", name, got)
			}
		})
	}
}

// Callers of loads that outlast TTL do not queue up for one load each: the load in
// flight and one that began after their calls are enough.
func TestSlowLoadsAreNotQueuedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.TTL = time.Second
			o.Load = func(context.Context, string) (string, error) {
				loads.Add(1)
				time.Sleep(1500 * time.Millisecond)
				return "v", nil
			}
		})
		began := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { c.Get(background, "k") })
		}
		wg.Wait()
		if took := time.Since(began); took > 3*time.Second || loads.Load() > 2 {
			t.Errorf("20 callers took %v and %d loads", took, loads.Load())
		}
		if s := c.Stats(); s.Joins > s.Misses {
			t.Errorf("%d joins of %d misses", s.Joins, s.Misses)
		}
	})
}

type untimed struct {
	context.Context
	deadline time.Time
}

func (u untimed) Deadline() (time.Time, bool) { return u.deadline, true }

// A caller that was frozen beyond its deadline while it waited does not call Load
// again, even if the joined load failed.
func TestFrozenJoinerLoadsNothing(t *testing.T) {
	for name, loadErr := range map[string]error{"value": nil, "not found": ErrNotFound, "error": errors.New("down")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clocks, o := clocktest.New(), &origin{wait: make(chan struct{}), err: loadErr}
				c := newTest(t, o, clocks.Clock())
				ctx, cancel := context.WithCancel(background)
				defer cancel()
				first := get(c, background)
				synctest.Wait()
				joiner := get(c, untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(3 * time.Second)})
				synctest.Wait()
				clocks.Move(10*time.Second, 0)
				close(o.wait)
				<-first
				if got := <-joiner; got != " context deadline exceeded" {
					t.Errorf("the joiner got %q", got)
				}
				if s := c.Stats(); s.Loads != 1 {
					t.Errorf("Stats = %+v", s)
				}
			})
		})
	}
}

// A Get of an expired entry does not mark it as recently used.
func TestExpiredEntriesAreNotPromoted(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	c := newTest(t, o, clocks.Clock(), func(o *Options[string, string]) { o.MaxEntries = 2 })
	wantGet(t, c, "gone", "gone v1")
	clocks.Move(time.Minute, time.Minute)
	wantGet(t, c, "live", "live v2")
	o.err = ErrNotFound
	c.Get(background, "gone")
	o.err = nil
	wantGet(t, c, "new", "new v4")
	if _, ok := c.Peek("live"); !ok {
		t.Error("a fresh value was evicted in favour of an expired one")
	}
}

// A caller that missed before another caller's load ended checks the cache again
// before it loads.
func TestSecondLookSavesALoad(t *testing.T) {
	o := &origin{}
	c := newTest(t, o, clock.New())
	wantGet(t, c, "k", "k v1")
	if it, _, err := c.fetch(background, "k", anyFresh); it.value != "k v1" || err != nil || o.calls.Load() != 1 {
		t.Errorf("fetch after a miss that came too early = %q, %v after %d loads", it.value, err, o.calls.Load())
	}
}

func TestPeekLeavesNoTrace(t *testing.T) {
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) { o.MaxEntries = 2 })
	wantGet(t, c, "a", "a v1")
	wantGet(t, c, "b", "b v2")
	before := c.Stats()
	c.Peek("a")
	if c.Stats() != before {
		t.Errorf("Peek was counted: %+v", c.Stats())
	}
	wantGet(t, c, "c", "c v3")
	if _, ok := c.Peek("a"); ok {
		t.Error("Peek moved a to the front")
	}
}

// When the last caller leaves, the context of Load ends.
func TestLoadIsCancelledWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(ctx context.Context, _ string) (string, error) {
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
				}
				ended <- ctx.Err()
				return "", ctx.Err()
			}
		})
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		c.Get(ctx, "k")
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Load's context ended with %v", err)
		}
	})
}

// Claim is called under the lock that guards the entries.
func TestClaimUnderTheLock(t *testing.T) {
	c := newTest(t, &origin{}, clock.New())
	c.kept.put("k", item[string]{load: 1, ttl: time.Hour}, true, func() bool {
		for i := range c.kept.lock {
			if c.kept.lock[i].TryLock() {
				c.kept.lock[i].Unlock()
				t.Error("the lock is not held")
			}
		}
		return false
	})
}

// The late value of a flight that was replaced because it took too long does not
// replace a younger value.
func TestReplacedLoadIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		n := 0
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) {
				if n++; n == 1 {
					<-slow
					return "old", nil
				}
				return "new", nil
			}
		})
		first := get(c, background)
		synctest.Wait()
		time.Sleep(2 * time.Minute)
		wantGet(t, c, "k", "new")
		close(slow)
		<-first
		if v, ok := c.Peek("k"); !ok || v != "new" {
			t.Errorf("kept %q, %v", v, ok)
		}
	})
}

// Many goroutines read and write the same keys concurrently.
func TestStress(t *testing.T) {
	c := Must(New(Options[int, int]{
		TTL: time.Hour, MaxEntries: 50, MaxBytes: 100,
		Size: func(n, _ int) int64 { return int64(n % 5) },
		Load: func(_ context.Context, n int) (int, error) { return -n, nil },
		LoadMany: func(_ context.Context, keys []int) (map[int]int, error) {
			m := map[int]int{}
			for _, n := range keys {
				m[n] = -n
			}
			return m, nil
		},
	}))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n := (i*7 + g) % 100
				switch i % 10 {
				case 8:
					c.Delete(n)
				case 9:
					if r, err := c.GetMany(background, []int{n, n + 1, n}); err != nil || r[0].Value != -n || r[1].Value != -n-1 {
						t.Errorf("GetMany(%d) = %v, %v", n, r, err)
					}
				default:
					if v, err := c.Get(background, n); v != -n || err != nil {
						t.Errorf("Get(%d) = %d, %v", n, v, err)
					}
				}
			}
		})
	}
	wg.Wait()
	s := c.Stats()
	if s.Bytes > 100 || s.Entries > 50 || s.Hits+s.Misses != 8*(1600+600) {
		t.Errorf("Stats = %+v", s)
	}
	c.Clear()
	if s := c.Stats(); s.Bytes != 0 {
		t.Errorf("%d bytes are left", s.Bytes)
	}
}
