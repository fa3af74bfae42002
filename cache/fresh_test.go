package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

func wantEntry(t *testing.T, e Entry[string], err error, value string, source Source) {
	t.Helper()
	if e.Value != value || e.Source != source || err != nil {
		t.Errorf("%q, %q, %v; want %q, %q", e.Value, e.Source, err, value, source)
	}
}

func TestLookup(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	c := newTest(t, o, clocks.Clock(), func(o *Options[string, string]) { o.StaleIfError = time.Hour })
	e, err := c.Lookup(background, "k")
	wantEntry(t, e, err, "k v1", Loaded)
	loaded := time.Unix(0, clocks.Now().Wall)
	clocks.Move(30*time.Second, 30*time.Second)
	e, err = c.Lookup(background, "k")
	wantEntry(t, e, err, "k v1", Hit)
	if !e.Loaded.Equal(loaded) {
		t.Errorf("Loaded = %v, want %v", e.Loaded, loaded)
	}
	clocks.Move(time.Minute, time.Minute)
	o.err = errors.New("down")
	e, err = c.Lookup(background, "k")
	wantEntry(t, e, err, "k v1", Stale)
	if e, err := c.Lookup(background, "l"); err != o.err || !e.Loaded.IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestLookupOfAKnownMiss(t *testing.T) {
	o := &origin{err: ErrNotFound}
	c := newTest(t, o, clock.New(), func(o *Options[string, string]) { o.MissingTTL = time.Minute })
	for _, source := range []Source{Loaded, Hit} {
		e, err := c.Lookup(background, "k")
		if err != ErrNotFound || e.Source != source || e.Loaded.IsZero() {
			t.Errorf("%+v, %v; want %v", e, err, source)
		}
	}
	e, _ := c.Lookup(background, "k")
	o.err = nil
	e, err := c.Newer(background, "k", e)
	wantEntry(t, e, err, "k v2", Loaded)
}

func TestLookupJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{wait: make(chan struct{})}
		c := newTest(t, o, clock.New())
		first := get(c, background)
		synctest.Wait()
		done := make(chan bool)
		go func() {
			e, err := c.Lookup(background, "k")
			wantEntry(t, e, err, "k v1", Joined)
			close(done)
		}()
		synctest.Wait()
		close(o.wait)
		<-first
		<-done
	})
}

func TestLookupHitDoesNotAllocate(t *testing.T) {
	c := newTest(t, &origin{}, clock.New())
	e, _ := c.Lookup(background, "k")
	newer, _ := c.Newer(background, "k", e)
	if newer.Value != "k v2" {
		t.Fatal(newer)
	}
	for name, f := range map[string]func(){
		"Lookup":    func() { c.Lookup(background, "k") },
		"GetWithin": func() { c.GetWithin(background, "k", time.Minute) },
		"Newer":     func() { c.Newer(background, "k", e) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if s := c.Stats(); s.Loads != 2 {
		t.Errorf("%+v", s)
	}
}

// A hundred callers whose login failed with the same secret make one load.
func TestNewerIsOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) {
				n := loads.Add(1)
				time.Sleep(50 * time.Millisecond)
				return fmt.Sprint("secret ", n), nil
			}
		})
		old, _ := c.Lookup(background, "k")
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond) // some come later
				e, err := c.Newer(background, "k", old)
				if e.Value != "secret 2" || err != nil {
					t.Errorf("%+v, %v", e, err)
				}
			})
		}
		wg.Wait()
		if n := loads.Load(); n != 2 {
			t.Errorf("%d loads", n)
		}
		if e, err := c.Newer(background, "k", Entry[string]{}); e.Value != "secret 2" || e.Source != Hit {
			t.Errorf("Newer than nothing: %+v, %v", e, err)
		}
	})
}

func TestNewerFails(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	c := newTest(t, o, clocks.Clock(), func(o *Options[string, string]) { o.StaleIfError = time.Hour })
	old, _ := c.Lookup(background, "k")
	o.err = errors.New("down")
	for range 2 {
		if e, err := c.Newer(background, "k", old); err != o.err {
			t.Errorf("%+v, %v", e, err)
		}
	}
	wantGet(t, c, "k", "k v1") // it is kept
}

// Newer joins a load that began after the entry's, and no other.
func TestNewerAndLoadsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{wait: make(chan struct{})}
		c := newTest(t, o, clock.New())
		first := get(c, background)
		synctest.Wait()
		c.Delete("k")
		close(o.wait)
		e, _ := c.Lookup(background, "k") // of the second load
		<-first
		if e.Value != "k v2" {
			t.Fatal(e)
		}
		o.wait = make(chan struct{})
		refreshed := make(chan bool)
		go func() { c.Refresh(background, "k"); close(refreshed) }()
		synctest.Wait()
		newer := make(chan Entry[string])
		go func() { e, _ := c.Newer(background, "k", e); newer <- e }()
		synctest.Wait()
		close(o.wait)
		<-refreshed
		if e := <-newer; e.Value != "k v3" || e.Source != Joined {
			t.Errorf("%+v", e)
		}
	})
}

func TestGetWithin(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	c := newTest(t, o, clocks.Clock(), func(o *Options[string, string]) { o.StaleIfError = time.Hour })
	want := func(maxAge time.Duration, value string) {
		t.Helper()
		if v, err := c.GetWithin(background, "k", maxAge); v != value || err != nil {
			t.Errorf("GetWithin(%v) = %q, %v; want %q", maxAge, v, err, value)
		}
	}
	want(time.Second, "k v1")
	clocks.Move(10*time.Second, 0)
	want(10*time.Second+1, "k v1")
	want(time.Hour, "k v1")
	want(10*time.Second, "k v2")
	clocks.Move(0, 10*time.Second)
	want(10*time.Second, "k v3")
	want(0, "k v4")
	want(-1, "k v5")
	clocks.Move(time.Minute, 0)
	want(time.Hour, "k v6") // TTL counts
	o.err = errors.New("down")
	clocks.Move(10*time.Second, 0)
	if v, err := c.GetWithin(background, "k", time.Second); err != o.err {
		t.Errorf("%q, %v", v, err)
	}
	wantGet(t, c, "k", "k v6")
}

// Two hundred forged key IDs within a minute cause a few fetches, even if these are
// slow.
func TestForgedKeyIDs(t *testing.T) {
	for _, slow := range []time.Duration{0, 500 * time.Millisecond, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var loads atomic.Int64
			c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
				o.TTL = time.Hour
				o.Load = func(context.Context, string) (string, error) {
					loads.Add(1)
					time.Sleep(slow)
					return "keys", nil
				}
			})
			var wg sync.WaitGroup
			for range 200 {
				time.Sleep(300 * time.Millisecond)
				wg.Go(func() { c.GetWithin(background, "jwks", 15*time.Second) })
			}
			wg.Wait()
			if n := loads.Load(); n > 8 { // every 15 seconds, and slow ones by callers without a deadline
				t.Errorf("%d fetches that take %v", n, slow)
			}
		})
	}
}

// tokens is an authorization server with one-time refresh tokens.
type tokens struct {
	mu    sync.Mutex
	valid int
	held  int // by the function
}

func (s *tokens) load(context.Context, string) (string, error) {
	s.mu.Lock()
	used := s.held
	s.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if used != s.valid {
		return "", errors.New("invalid_grant")
	}
	s.valid++
	s.held = s.valid
	return fmt.Sprint("token ", s.valid), nil
}

// Concurrent Refreshes do not stampede: one loads, one waits, and no two use the
// same token.
func TestRefreshOfOneTimeTokens(t *testing.T) {
	for name, ctx := range map[string]func() (context.Context, context.CancelFunc){
		"no deadline": func() (context.Context, context.CancelFunc) { return background, func() {} },
		"deadline":    func() (context.Context, context.CancelFunc) { return context.WithTimeout(background, time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := ctx()
				defer cancel()
				s := &tokens{}
				var loads atomic.Int64
				c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
					o.Load = func(ctx context.Context, key string) (string, error) { loads.Add(1); return s.load(ctx, key) }
				})
				for range 10 {
					var wg sync.WaitGroup
					for i := range 5 {
						if i == 2 {
							wg.Go(func() { c.RefreshMany(ctx, []string{"k"}) })
						}
						wg.Go(func() {
							if v, err := c.Refresh(ctx, "k"); err != nil {
								t.Errorf("Refresh = %q, %v", v, err)
							}
						})
						time.Sleep(4 * time.Millisecond)
					}
					wg.Wait()
					if v, ok := c.Peek("k"); !ok || v != fmt.Sprint("token ", s.valid) {
						t.Errorf("kept %q, %v; the valid token is %d", v, ok, s.valid)
					}
				}
				if n := loads.Load(); n != 20 {
					t.Errorf("%d loads, want 2 a round", n)
				}
			})
		})
	}
}

// If Refreshes come faster than loads end, the key still stays cached, and a failed one
// changes nothing.
func TestRefreshFasterThanItsLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads, running atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) {
				if running.Add(1) > 1 {
					t.Error("two loads at once")
				}
				defer running.Add(-1)
				n := loads.Add(1)
				time.Sleep(50 * time.Millisecond)
				if n%2 == 0 {
					return "", errors.New("failed")
				}
				return "v", nil
			}
		})
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() { c.Refresh(background, "k") })
			time.Sleep(30 * time.Millisecond)
			if v, ok := c.Peek("k"); i >= 2 && (v != "v" || !ok) {
				t.Fatalf("after %d Refreshes: %q, %v", i, v, ok)
			}
		}
		wg.Wait()
		if n := loads.Load(); n > 62 {
			t.Errorf("%d loads", n)
		}
	})
}

// A Refresh without waiting callers does not begin, and its successors do not wait for
// it.
func TestRefreshThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{wait: make(chan struct{})}
		c := newTest(t, o, clock.New())
		ctx, cancel := context.WithCancel(background)
		first := get(c, background)
		synctest.Wait()
		left := make(chan error)
		go func() { _, err := c.Refresh(ctx, "k"); left <- err }()
		synctest.Wait()
		cancel()
		if err := <-left; err != context.Canceled {
			t.Errorf("%v", err)
		}
		close(o.wait)
		<-first
		synctest.Wait()
		wantLoads(t, o, 1)
		if v, err := c.Refresh(background, "k"); v != "k v2" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
	})
}

// A Load that refreshes its own key would wait for itself.
func TestLoadThatRefreshesItsOwnKey(t *testing.T) {
	for _, ctx := range []context.Context{background, t.Context()} {
		var c *Cache[string, string]
		c = newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(ctx context.Context, key string) (string, error) { return c.Refresh(ctx, key) }
		})
		if _, err := c.Get(ctx, "k"); err == nil {
			t.Error("Get succeeded")
		}
	}
}

func TestRefreshMany(t *testing.T) {
	b := &batches{}
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) { o.LoadMany = b.load })
	wantMany(t, c, "a b", "a b1", "b b1")
	r, err := c.RefreshMany(background, []string{"a", "c", "a"})
	if err != nil || r[0].Value != "a b2" || r[1].Value != "c b2" || r[2].Value != "a b2" {
		t.Errorf("%v, %v", r, err)
	}
	wantMany(t, c, "a b c", "a b2", "b b1", "c b2")
	b.err = errors.New("down")
	if r, err := c.RefreshMany(background, []string{"a"}); err != b.err || r[0].Err != b.err {
		t.Errorf("%v, %v", r, err)
	}
	wantMany(t, c, "a", "a b2")
}

func TestReload(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	var olds []string
	unchanged := true
	c := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) {
		opts.Reload = func(ctx context.Context, key, old string) (string, error) {
			olds = append(olds, old)
			clocks.Move(10*time.Second, 10*time.Second)
			if unchanged {
				return "", fmt.Errorf("304: %w", ErrUnchanged)
			}
			return o.load(ctx, key)
		}
	})
	wantGet(t, c, "k", "k v1")
	clocks.Move(time.Minute, time.Minute)
	wantGet(t, c, "k", "k v1") // confirmed
	clocks.Move(50*time.Second-1, 50*time.Second-1)
	wantGet(t, c, "k", "k v1")
	if len(olds) != 1 {
		t.Errorf("Reload got %q", olds)
	}
	clocks.Move(1, 1) // a minute after that Reload began
	unchanged = false
	wantGet(t, c, "k", "k v2")
	if v, err := c.Refresh(background, "k"); v != "k v3" || err != nil || olds[2] != "k v2" {
		t.Errorf("%q, %v, %q", v, err, olds)
	}
	o.err = errors.New("down")
	clocks.Move(time.Minute, time.Minute)
	if v, err := c.Get(background, "k"); err != o.err {
		t.Errorf("unconfirmed past TTL: %q, %v", v, err)
	}
	o.err = nil
	c.Delete("k")
	wantGet(t, c, "k", "k v5") // by Load
	if len(olds) != 4 {
		t.Errorf("Reload got %q", olds)
	}
}

// Delete during a Reload wins over the revalidated value.
func TestDeleteDuringAReload(t *testing.T) {
	clocks := clocktest.New()
	var c *Cache[string, string]
	c = newTest(t, &origin{}, clocks.Clock(), func(o *Options[string, string]) {
		o.Reload = func(_ context.Context, key, _ string) (string, error) {
			c.Delete(key)
			return "", ErrUnchanged
		}
	})
	wantGet(t, c, "k", "k v1")
	clocks.Move(time.Minute, time.Minute)
	wantGet(t, c, "k", "k v1")
	wantGet(t, c, "k", "k v2")
}

// Reload gets a copy, and a revalidated value counts as a new load for Newer.
func TestReloadAndClone(t *testing.T) {
	c := Must(New(Options[string, []string]{
		TTL: time.Hour, Clone: func(s []string) []string { return append([]string(nil), s...) },
		Load: func(context.Context, string) ([]string, error) { return []string{"v"}, nil },
		Reload: func(_ context.Context, _ string, old []string) ([]string, error) {
			old[0] = "changed"
			return nil, ErrUnchanged
		},
	}))
	e, _ := c.Lookup(background, "k")
	e2, err := c.Newer(background, "k", e)
	if err != nil || e2.Source != Loaded || e2.Value[0] != "v" {
		t.Errorf("%+v, %v", e2, err)
	}
}

// ErrUnchanged from Load is an ordinary error.
func TestUnchangedWithoutAnOldValue(t *testing.T) {
	c := newTest(t, &origin{err: ErrUnchanged}, clock.New())
	if v, err := c.Get(background, "k"); err != ErrUnchanged {
		t.Errorf("%q, %v", v, err)
	}
}
