package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var background = context.Background()

// An origin counts its loads. Its value changes with every load.
type origin struct {
	calls atomic.Int64
	err   error
	wait  chan struct{} // if set, loads wait for it
}

func (o *origin) load(_ context.Context, key string) (string, error) {
	n := o.calls.Add(1)
	if o.wait != nil {
		<-o.wait
	}
	return fmt.Sprintf("%s v%d", key, n), o.err
}

func newTest(t *testing.T, o *origin, clk *clock.Clock, change ...func(*Options[string, string])) *Cache[string, string] {
	t.Helper()
	opts := Options[string, string]{Load: o.load, TTL: time.Minute}
	for _, f := range change {
		f(&opts)
	}
	c, err := newCache(opts, clk)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantGet(t *testing.T, c *Cache[string, string], key, want string) {
	t.Helper()
	if got, err := c.Get(background, key); err != nil || got != want {
		t.Errorf("Get(%q) = %q, %v; want %q", key, got, err, want)
	}
}

func TestHitAndMiss(t *testing.T) {
	o := &origin{}
	c := newTest(t, o, clock.New())
	if v, ok := c.Peek("a"); ok {
		t.Errorf("Peek of an empty cache = %q", v)
	}
	wantGet(t, c, "a", "a v1")
	wantGet(t, c, "a", "a v1")
	wantGet(t, c, "b", "b v2")
	if v, ok := c.Peek("b"); !ok || v != "b v2" {
		t.Errorf("Peek = %q, %v", v, ok)
	}
	want := Stats{Hits: 1, Misses: 2, Loads: 2, Entries: 2}
	if got := c.Stats(); got != want || c.Len() != 2 {
		t.Errorf("Stats = %+v, Len = %d; want %+v", got, c.Len(), want)
	}
}

// A served value is younger than TTL on both clocks, however they move.
func TestNeverOlderThanTTL(t *testing.T) {
	for _, tt := range []struct {
		name       string
		wall, mono time.Duration
		want       string
	}{
		{"just in time", time.Minute - 1, time.Minute - 1, "k v1"},
		{"exact deadline", time.Minute, time.Minute, "k v2"},
		{"frozen, monotonic clock stopped", time.Hour, 0, "k v2"},
		{"wall clock stopped", 0, time.Hour, "k v2"},
		{"wall clock stepped back, time goes on", -time.Hour, time.Minute, "k v2"},
		{"wall clock stepped back behind the load", -time.Hour, time.Second, "k v2"},
		{"monotonic clock ran back (restored snapshot)", time.Second, -time.Hour, "k v2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clocks := clocktest.New()
			c := newTest(t, &origin{}, clocks.Clock())
			wantGet(t, c, "k", "k v1")
			clocks.Move(tt.wall, tt.mono)
			if v, ok := c.Peek("k"); ok != (tt.want == "k v1") {
				t.Errorf("Peek = %q, %v", v, ok)
			}
			wantGet(t, c, "k", tt.want)
		})
	}
}

func TestForeverSurvivesAnyClock(t *testing.T) {
	clocks := clocktest.New()
	c := newTest(t, &origin{}, clocks.Clock(), func(o *Options[string, string]) { o.TTL = Forever })
	wantGet(t, c, "k", "k v1")
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour, 200 * 365 * 24 * time.Hour} {
		clocks.Move(d, d)
		wantGet(t, c, "k", "k v1")
	}
}

// The age of a value counts from the start of its load, not from its end.
func TestAgeCountsFromTheStartOfTheLoad(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	c := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) {
		opts.Load = func(ctx context.Context, key string) (string, error) {
			v, err := o.load(ctx, key)
			clocks.Move(40*time.Second, 40*time.Second) // a slow answer
			return v, err
		}
	})
	wantGet(t, c, "k", "k v1")
	clocks.Move(19*time.Second, 19*time.Second)
	wantGet(t, c, "k", "k v1")
	clocks.Move(time.Second, time.Second)
	wantGet(t, c, "k", "k v2")
}

// A caller that joined a load which then outlasted the TTL gets a younger value.
func TestJoinedLoadThatOutlastsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, o := clocktest.New(), &origin{wait: make(chan struct{})}
		c := newTest(t, o, clocks.Clock())
		first := get(c, background)
		synctest.Wait()
		second := get(c, background)
		synctest.Wait()
		clocks.Move(time.Minute, 0)
		close(o.wait)
		if a, b := <-first, <-second; a != "k v1 <nil>" || b != "k v2 <nil>" {
			t.Errorf("got %q and %q, want the first load for its own caller and another for the one that joined it", a, b)
		}
	})
}

// get calls Get("k") in a goroutine and returns a channel of its result.
func get(c *Cache[string, string], ctx context.Context) <-chan string {
	ch := make(chan string, 1)
	go func() {
		v, err := c.Get(ctx, "k")
		ch <- fmt.Sprint(v, " ", err)
	}()
	return ch
}

func TestHundredGetsOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{wait: make(chan struct{})}
		c := newTest(t, o, clock.New())
		leader, cancel := context.WithCancel(background)
		first := get(c, leader)
		synctest.Wait()
		var others []<-chan string
		for range 99 {
			others = append(others, get(c, background))
		}
		synctest.Wait()
		cancel() // the first caller's context fails nobody else
		if got := <-first; got != " context canceled" {
			t.Errorf("first caller got %q", got)
		}
		close(o.wait)
		for _, ch := range others {
			if got := <-ch; got != "k v1 <nil>" {
				t.Errorf("got %q", got)
			}
		}
		want := Stats{Misses: 100, Joins: 99, Loads: 1, Entries: 1}
		// The caller that left did not see its load's end, but it did miss.
		if got := c.Stats(); got != want {
			t.Errorf("Stats = %+v, want %+v", got, want)
		}
	})
}

// A load left behind by an invocation that timed out is not joined by the next one, and
// its late result is not cached.
func TestAbandonedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{wait: make(chan struct{})}
		c := newTest(t, o, clock.New())
		invocation, cancel := context.WithTimeout(background, 3*time.Second)
		defer cancel()
		if _, err := c.Get(invocation, "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("timed-out Get returned %v", err)
		}
		next := get(c, background)
		synctest.Wait()
		if n := o.calls.Load(); n != 2 {
			t.Errorf("%d loads, want the next invocation to make its own", n)
		}
		close(o.wait) // both loads end
		if got := <-next; got != "k v2 <nil>" {
			t.Errorf("the next invocation got %q", got)
		}
		synctest.Wait()
		if v, _ := c.Peek("k"); v != "k v2" {
			t.Errorf("kept %q", v)
		}
	})
}

// After Delete or Clear, no Get returns a value that was loaded before, not even from a
// load in flight.
func TestInvalidationWins(t *testing.T) {
	for name, invalidate := range map[string]func(*Cache[string, string]){
		"Delete": func(c *Cache[string, string]) { c.Delete("k") },
		"Clear":  func(c *Cache[string, string]) { c.Clear() },
	} {
		t.Run(name+" of a kept value", func(t *testing.T) {
			c := newTest(t, &origin{}, clock.New())
			wantGet(t, c, "k", "k v1")
			invalidate(c)
			if c.Len() != 0 {
				t.Errorf("Len = %d", c.Len())
			}
			wantGet(t, c, "k", "k v2")
		})
		t.Run(name+" during a load", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &origin{wait: make(chan struct{})}
				c := newTest(t, o, clock.New())
				before := get(c, background)
				synctest.Wait()
				invalidate(c)
				after := get(c, background)
				synctest.Wait()
				close(o.wait)
				if got := <-before; got != "k v1 <nil>" {
					t.Errorf("the Get from before got %q", got)
				}
				if got := <-after; got != "k v2 <nil>" {
					t.Errorf("the Get from after got %q", got)
				}
				wantGet(t, c, "k", "k v2")
			})
		})
	}
}

// A late result of an older load does not overwrite the newer one.
func TestLateLoadDoesNotOverwrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		var calls atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) {
				if calls.Add(1) == 1 {
					<-slow
					return "old", nil
				}
				return "new", nil
			}
		})
		first := get(c, background)
		synctest.Wait()
		c.Delete("k")
		wantGet(t, c, "k", "new")
		close(slow)
		<-first
		wantGet(t, c, "k", "new")
	})
}

func TestErrorsAreTheOriginsAndNotKept(t *testing.T) {
	o := &origin{err: fmt.Errorf("row gone: %w", ErrNotFound)}
	c := newTest(t, o, clock.New())
	if _, err := c.Get(background, "k"); err != o.err {
		t.Errorf("Get = %v, want the origin's own error", err)
	}
	o.err = nil
	wantGet(t, c, "k", "k v2")
	if s := c.Stats(); s.LoadErrors != 0 || s.Loads != 2 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestPanicInLoad(t *testing.T) {
	cause := errors.New("boom")
	for name, ctx := range map[string]func() (context.Context, context.CancelFunc){
		"in the caller's goroutine": func() (context.Context, context.CancelFunc) { return background, func() {} },
		"in another goroutine":      func() (context.Context, context.CancelFunc) { return context.WithCancel(background) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := ctx()
			defer cancel()
			c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
				o.Load = func(context.Context, string) (string, error) { panic(cause) }
			})
			defer func() {
				err, ok := recover().(error)
				if !ok || !errors.Is(err, cause) || !strings.Contains(err.Error(), "TestPanicInLoad") {
					t.Errorf("recovered %v, want the cause with Load's stack", err)
				}
			}()
			c.Get(ctx, "k")
			t.Error("Get returned")
		})
	}
}

func TestLoadMayGetOtherKeys(t *testing.T) {
	var c *Cache[int, int]
	c = Must(New(Options[int, int]{TTL: time.Minute, Load: func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		below, err := c.Get(ctx, n-1)
		return below + n, err
	}}))
	if got, err := c.Get(background, 10); got != 55 || err != nil {
		t.Errorf("Get = %d, %v", got, err)
	}
}

func TestEvictsLeastRecentlyUsed(t *testing.T) {
	o := &origin{}
	c := newTest(t, o, clock.New(), func(o *Options[string, string]) { o.MaxEntries = 2 })
	wantGet(t, c, "a", "a v1")
	wantGet(t, c, "b", "b v2")
	wantGet(t, c, "a", "a v1") // used again: b is the oldest now
	wantGet(t, c, "c", "c v3")
	if _, ok := c.Peek("b"); ok {
		t.Error("b is still kept")
	}
	wantGet(t, c, "a", "a v1")
	if s := c.Stats(); s.EvictedEntries != 1 || s.Entries != 2 {
		t.Errorf("Stats = %+v", s)
	}
}

// GetMany also marks entries as used.
func TestGetManyPromotes(t *testing.T) {
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) { o.MaxEntries = 2 })
	wantGet(t, c, "a", "a v1")
	wantGet(t, c, "b", "b v2")
	wantMany(t, c, "a", "a v1")
	wantGet(t, c, "c", "c v3")
	if _, ok := c.Peek("a"); !ok {
		t.Error("a was evicted, although b was used less recently")
	}
}

func TestExpiredIsAMiss(t *testing.T) {
	clocks := clocktest.New()
	c := newTest(t, &origin{}, clocks.Clock())
	wantGet(t, c, "k", "k v1")
	clocks.Move(time.Minute, 0)
	wantGet(t, c, "k", "k v2")
	if s := c.Stats(); s.Hits != 0 || s.Misses != 2 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestTenantsDoNotMeet(t *testing.T) {
	type key struct{ Tenant, ID string }
	c := Must(New(Options[key, string]{TTL: time.Minute, Load: func(_ context.Context, k key) (string, error) {
		return k.Tenant + "/" + k.ID, nil
	}}))
	keys := []key{{"tenant 1", "x"}, {"tenant", "1 x"}, {"a|b", "c"}, {"a", "b|c"}}
	var wg sync.WaitGroup
	for _, k := range keys {
		wg.Go(func() {
			if got, _ := c.Get(background, k); got != k.Tenant+"/"+k.ID {
				t.Errorf("Get(%q) = %q", k, got)
			}
		})
	}
	wg.Wait()
}

func TestBadOptions(t *testing.T) {
	load := func(context.Context, string) (string, error) { return "", nil }
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"no Load", newErr(Options[string, string]{TTL: 1}), "Options.Load is nil"},
		{"no TTL", newErr(Options[string, string]{Load: load}), "Options.TTL is 0s"},
		{"negative TTL", newErr(Options[string, string]{Load: load, TTL: -1}), "Options.TTL is -1ns"},
		{"negative MaxEntries", newErr(Options[string, string]{Load: load, TTL: 1, MaxEntries: -1}), "Options.MaxEntries is negative (-1)"},
		{"float key", newErr(Options[float64, int]{Load: func(context.Context, float64) (int, error) { return 0, nil }, TTL: 1}), "float64"},
		{"interface key", newErr(Options[any, int]{Load: func(context.Context, any) (int, error) { return 0, nil }, TTL: 1}), "interface"},
		{"time key", newErr(Options[time.Time, int]{Load: func(context.Context, time.Time) (int, error) { return 0, nil }, TTL: 1}), "use its UnixNano"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) || !strings.HasPrefix(tt.err.Error(), "cache.New: ") {
				t.Errorf("New returned %v, want an error that says %q", tt.err, tt.want)
			}
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("Must did not panic")
		}
	}()
	Must(New(Options[string, string]{}))
}

func newErr[K comparable, V any](o Options[K, V]) error {
	c, err := New(o)
	if err != nil && c != nil {
		return errors.New("New returned an error and a cache")
	}
	return err
}

func TestHitDoesNotAllocate(t *testing.T) {
	c := newTest(t, &origin{}, clock.New())
	wantGet(t, c, "k", "k v1")
	if n := testing.AllocsPerRun(100, func() { c.Get(background, "k") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A miss allocates the flight, the call of singleflight, and two functions. Its
// LoadTimeout costs nothing while Load does not call Done.
func TestMissAllocations(t *testing.T) {
	c := Must(New(Options[int, int]{
		TTL: time.Minute, MaxEntries: 1,
		Load: func(_ context.Context, n int) (int, error) { return n, nil },
	}))
	key := 0
	miss := func() { c.Get(background, key); key++ }
	miss()
	if n := testing.AllocsPerRun(100, miss); n > 5 { // with that of the entry
		t.Errorf("a miss allocates %v times", n)
	}
}
