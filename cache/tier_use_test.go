package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// stalled is a Tier that answers when its context ends.
type stalled struct{ *fakeTier }

func (stalled) Get(ctx context.Context, _ string, _ func([]byte) bool) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func (stalled) Delete(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// slowSet is a Tier whose Set answers when its context ends.
type slowSet struct{ *fakeTier }

func (slowSet) Set(ctx context.Context, _ TierRecord) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestTierErrorsAreNotTheCallers(t *testing.T) {
	tier, o := newFakeTier(), &origin{}
	c := newTest(t, o, clock.New(), withTier(tier))
	tier.err = errors.New("down")
	wantGet(t, c, "k", "k v1")
	wantGet(t, c, "k", "k v1")
	if v, err := c.Refresh(background, "k"); v != "k v2" || err != nil {
		t.Errorf("Refresh = %q, %v", v, err)
	}
	if s := c.Stats(); s.TierErrors != 2 || s.TierMisses != 1 || len(tier.sets) != 0 {
		t.Errorf("Stats = %+v, Set %d times", s, len(tier.sets))
	}
	tier.err = nil
	c.Get(background, "l")
	tier.err = errors.New("full")
	tier.sets = nil
	wantGet(t, c, "k", "k v2")
}

// A stalled Tier costs TierTimeout, and at most a quarter of the caller's time.
func TestTierTimeout(t *testing.T) {
	for _, tt := range []struct {
		patience, want time.Duration
	}{
		{0, time.Second},
		{time.Hour, time.Second},
		{time.Second, time.Second / 4},
	} {
		t.Run(tt.patience.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTest(t, &origin{}, clock.New(), withTier(stalled{newFakeTier()}), func(o *Options[string, string]) {
					o.TierTimeout, o.LoadTimeout = time.Second, time.Second/2
				})
				ctx := background
				if tt.patience > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.patience)
					defer cancel()
				}
				began := time.Now()
				if v, err := c.Get(ctx, "k"); v != "k v1" || err != nil {
					t.Errorf("Get = %q, %v", v, err)
				}
				if took := time.Since(began); took != tt.want {
					t.Errorf("it took %v; want %v", took, tt.want)
				}
				if s := c.Stats(); s.TierErrors != 1 {
					t.Errorf("Stats = %+v", s)
				}
			})
		})
	}
}

// The same holds for a Tier that stalls when Refresh deletes from it.
func TestTierTimeoutOfRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, &origin{}, clock.New(), withTier(stalled{newFakeTier()}))
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		began := time.Now()
		if v, err := c.Refresh(ctx, "k"); v != "k v1" || err != nil {
			t.Errorf("Refresh = %q, %v", v, err)
		}
		if took := time.Since(began); took != time.Second/4 {
			t.Errorf("it took %v", took)
		}
	})
}

// LoadTimeout counts from the Load, not from the calls of the Tier before it.
func TestLoadTimeoutWithTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, &origin{}, clock.New(), withTier(newFakeTier()), func(o *Options[string, string]) {
			o.LoadTimeout = time.Second
			o.Load = func(ctx context.Context, _ string) (string, error) {
				<-ctx.Done()
				return "", ctx.Err()
			}
		})
		began := time.Now()
		_, err := c.Get(background, "k")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "LoadTimeout (1s)") {
			t.Errorf("Get: %v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The same holds for values that were loaded together.
func TestTierTakesTheRestOfTheTimeOfGetMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, &origin{}, clock.New(), withTier(slowSet{newFakeTier()}), func(o *Options[string, string]) {
			o.LoadMany = func(_ context.Context, keys []string) (map[string]string, error) {
				time.Sleep(time.Second - 1)
				return map[string]string{"k": "1", "l": "2"}, nil
			}
		})
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		again, stop := context.WithCancel(background)
		defer stop()
		go c.GetMany(again, []string{"k", "l"}) // without a deadline, so that the Tier has more time
		synctest.Wait()
		got, err := c.GetMany(ctx, []string{"l", "k"})
		if want := []Result[string]{{"2", true, nil}, {"1", true, nil}}; !slices.Equal(got, want) || err != nil {
			t.Errorf("GetMany = %v, %v; want %v", got, err, want)
		}
		time.Sleep(time.Minute)
	})
}

// A loaded value is returned even if the Tier takes the rest of the
// caller's time to store it.
func TestTierTakesTheRestOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, &origin{}, clock.New(), withTier(slowSet{newFakeTier()}), func(o *Options[string, string]) {
			load := o.Load
			o.Load = func(ctx context.Context, key string) (string, error) {
				time.Sleep(time.Second - 1)
				return load(ctx, key)
			}
		})
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		again, stop := context.WithCancel(background)
		defer stop()
		go c.Get(again, "k") // without a deadline, so that the Tier has more time
		synctest.Wait()
		if v, err := c.Get(ctx, "k"); v != "k v1" || err != nil {
			t.Errorf("Get = %q, %v", v, err)
		}
		time.Sleep(time.Minute)
	})
}

// After a Delete in one container, no other gets the record from the Tier or restores
// it.
func TestInvalidateBeatsALoadInAnotherContainer(t *testing.T) {
	tier, o := newFakeTier(), &origin{}
	began, slow := make(chan bool), make(chan bool)
	a := newTest(t, o, clock.New(), withTier(tier), func(opts *Options[string, string]) {
		opts.Load = func(ctx context.Context, key string) (string, error) {
			v, err := o.load(ctx, key)
			close(began)
			<-slow
			return v, err
		}
	})
	b := newTest(t, o, clock.New(), withTier(tier))
	got := get(a, background)
	<-began
	if err := b.Invalidate(background, "k"); err != nil {
		t.Fatal(err)
	}
	close(slow)
	if s := <-got; s != "k v1 <nil>" {
		t.Errorf("the Get under way got %s", s)
	}
	wantGet(t, b, "k", "k v2")
	wantGet(t, newTest(t, o, clock.New(), withTier(tier)), "k", "k v2")
}

// If the Delete of the Tier failed, at least this container rejects records that may be
// old, but not those that were certainly loaded since.
func TestInvalidateWithoutTheTier(t *testing.T) {
	for name, invalidate := range map[string]func(t *testing.T, c *Cache[string, string]){
		"InvalidateMany": func(t *testing.T, c *Cache[string, string]) {
			if c.InvalidateMany(background, []string{"j", "k"}) == nil {
				t.Error("InvalidateMany returns nil although the Tier failed")
			}
		},
		"Invalidate": func(t *testing.T, c *Cache[string, string]) {
			if c.Invalidate(background, "k") == nil {
				t.Error("Invalidate says that it has")
			}
		},
		"Delete":  func(_ *testing.T, c *Cache[string, string]) { c.Delete("k") },
		"Refresh": func(_ *testing.T, c *Cache[string, string]) { c.Refresh(background, "k"); c.kept.clear(func() {}) },
		"Clear":   func(_ *testing.T, c *Cache[string, string]) { c.Clear() },
	} {
		t.Run(name, func(t *testing.T) {
			tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
			c := newTest(t, o, clocks.Clock(), withTier(tier))
			wantGet(t, c, "k", "k v1")
			o.calls.Store(9)
			tier.err = errors.New("down")
			invalidate(t, c)
			tier.err = nil
			o.calls.Store(19)
			wantGet(t, c, "k", "k v20")
			wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v20")
			clocks.Move(time.Second+1, time.Second+1)
			other := newTest(t, o, clocks.Clock(), withTier(tier))
			other.Invalidate(background, "k")
			wantGet(t, other, "k", "k v21")
			c.kept.clear(func() {})
			wantGet(t, c, "k", "k v21") // from the Tier: it is younger on any clock
		})
	}
}

// A load that a Delete has overtaken is not stored, even if the Delete of the Tier
// failed.
func TestDeleteWithoutTheTierDuringALoad(t *testing.T) {
	tier, o := newFakeTier(), &origin{}
	var c *Cache[string, string]
	c = newTest(t, o, clock.New(), withTier(tier), func(opts *Options[string, string]) {
		opts.Load = func(ctx context.Context, key string) (string, error) {
			tier.setErr(errors.New("down"))
			c.Delete(key)
			tier.setErr(nil)
			return o.load(ctx, key)
		}
	})
	wantGet(t, c, "k", "k v1")
	if len(tier.sets) != 1 || tier.sets[0].Record != nil || tier.sets[0].Lease == "" {
		t.Errorf("the Tier was given %+v", tier.sets)
	}
}

// frozen is a Tier in whose Get the process is frozen after use has taken the record.
type frozen struct {
	*fakeTier
	clocks *clocktest.Clocks
}

func (f frozen) Get(ctx context.Context, name string, use func([]byte) bool) (string, error) {
	lease, err := f.fakeTier.Get(ctx, name, use)
	if lease == "" {
		f.clocks.Move(time.Hour, 0)
	}
	return lease, err
}

func TestFrozenWhileTheTierAnswers(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v1")
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(frozen{tier, clocks})), "k", "k v2")
}

// A caller that leaves does not count as an error of the Tier.
func TestCallerLeavesTheTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, &origin{}, clock.New(), withTier(stalled{newFakeTier()}))
		ctx, cancel := context.WithCancel(background)
		go func() { time.Sleep(time.Second / 2); cancel() }()
		if _, err := c.Get(ctx, "k"); err != context.Canceled {
			t.Errorf("Get: %v", err)
		}
		synctest.Wait()
		if s := c.Stats(); s.TierErrors != 0 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

// Refresh replaces the record in the Tier, and makes no other container wait for a
// failed Load.
func TestRefreshWithTier(t *testing.T) {
	tier, o := newFakeTier(), &origin{}
	c := newTest(t, o, clock.New(), withTier(tier))
	wantGet(t, c, "k", "k v1")
	if v, err := c.Refresh(background, "k"); v != "k v2" || err != nil {
		t.Errorf("Refresh = %q, %v", v, err)
	}
	wantGet(t, newTest(t, o, clock.New(), withTier(tier)), "k", "k v2")
	o.err = errors.New("down")
	if _, err := c.Refresh(background, "k"); err != o.err {
		t.Errorf("Refresh: %v", err)
	}
	wantGet(t, c, "k", "k v2")
	if n := len(tier.leases["test/1:k"]); n != 0 || tier.records["test/1:k"] != nil {
		t.Errorf("%d leases were not given back; record %q", n, tier.records["test/1:k"])
	}
}

func TestTierKeepsThatKeysDoNotExist(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{err: fmt.Errorf("no such row: %w", ErrNotFound)}, clocktest.New()
	missing := func(d time.Duration) func(*Options[string, string]) {
		return func(o *Options[string, string]) { o.MissingTTL = d }
	}
	wantMissing := func(c *Cache[string, string], loads int64) {
		t.Helper()
		if _, err := c.Get(background, "k"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get: %v", err)
		}
		wantLoads(t, o, loads)
	}
	wantMissing(newTest(t, o, clocks.Clock(), withTier(tier)), 1)
	wantMissing(newTest(t, o, clocks.Clock(), withTier(tier), missing(20*time.Second)), 2)
	wantMissing(newTest(t, o, clocks.Clock(), withTier(tier), missing(time.Hour)), 2)
	wantMissing(newTest(t, o, clocks.Clock(), withTier(tier)), 3) // MissingTTL is zero here
	short := newTest(t, o, clocks.Clock(), withTier(tier), missing(11*time.Second))
	wantMissing(short, 3)
	clocks.Move(10*time.Second, 10*time.Second)
	wantMissing(short, 4) // MissingTTL is shorter here
}

// A container applies its own TTLs, even to values loaded by one with longer ones.
func TestTierAndOwnTTL(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v1")
	clocks.Move(10*time.Second, 10*time.Second)
	c := newTest(t, o, clocks.Clock(), withTier(tier), func(o *Options[string, string]) { o.TTL = 12 * time.Second })
	wantGet(t, c, "k", "k v1")
	clocks.Move(time.Second, time.Second)
	wantGet(t, c, "k", "k v2")
	d := newTest(t, o, clocks.Clock(), withTier(tier), func(o *Options[string, string]) {
		o.TTLOf = func(string, string) time.Duration { return 0 }
	})
	wantGet(t, d, "k", "k v3")
	wantGet(t, d, "l", "l v4")
	if tier.records["test/1:l"] != nil {
		t.Error("a value that is not to be kept was kept")
	}
}

// A TTLOf may return the rest of a value's life, as of a token, which may be over.
func TestTierAndTTLThatIsOver(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v1")
	c := newTest(t, o, clocks.Clock(), withTier(tier), func(o *Options[string, string]) {
		o.TTLOf = func(string, string) time.Duration { return -time.Second }
	})
	wantGet(t, c, "k", "k v2")
	wantGet(t, c, "k", "k v3")
}

// A new container finds a stale value in the Tier that it serves when Load fails.
func TestTierKeepsForStaleIfError(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	stale := func(o *Options[string, string]) { o.StaleIfError = time.Hour }
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier), stale), "k", "k v1")
	if ttl := tier.sets[0].TTL; ttl != time.Hour+time.Minute {
		t.Errorf("the Tier is to keep it for %v", ttl)
	}
	clocks.Move(30*time.Minute, 30*time.Minute)
	o.err = errors.New("down")
	c := newTest(t, o, clocks.Clock(), withTier(tier), stale)
	wantGet(t, c, "k", "k v1")
	if s := c.Stats(); s.StaleServed != 1 || s.TierMisses != 1 {
		t.Errorf("Stats = %+v", s)
	}
	clocks.Move(31*time.Minute-time.Second, 31*time.Minute-time.Second)
	if _, err := newTest(t, o, clocks.Clock(), withTier(tier), stale).Get(background, "k"); err != o.err {
		t.Errorf("Get: %v", err)
	}
}

// Containers that share a record do not all reload it at once.
func TestTierJitter(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	jitter := func(o *Options[string, string]) { o.Jitter = 0.5 }
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier), jitter), "k", "k v1")
	ends := map[time.Duration]bool{}
	for range 10 {
		c := newTest(t, o, clocks.Clock(), withTier(tier), jitter)
		wantGet(t, c, "k", "k v1")
		it := c.kept.peek("k")
		ends[it.ttl] = true
		if it.ttl > time.Minute || it.ttl < 15*time.Second {
			t.Errorf("TTL %v", it.ttl)
		}
	}
	if len(ends) < 5 {
		t.Errorf("they end at %v", ends)
	}
}

func TestTierForever(t *testing.T) {
	tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
	forever := func(o *Options[string, string]) { o.TTL = Forever }
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier), forever), "k", "k v1")
	clocks.Move(100*365*24*time.Hour, 0)
	wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier), forever), "k", "k v1")
	if tier.sets[0].TTL != Forever {
		t.Errorf("kept for %v", tier.sets[0].TTL)
	}
}

// A lease is given back if nothing can be stored.
func TestLeasesAreGivenBack(t *testing.T) {
	down := errors.New("down")
	for name, change := range map[string]func(*Options[string, string]){
		"Load fails": func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) { return "", down }
		},
		"no such key": func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) { return "", ErrNotFound }
		},
		"cannot be encoded":   func(o *Options[string, string]) { o.Codec.Encode = func(string) ([]byte, error) { return nil, down } },
		"not to be kept":      func(o *Options[string, string]) { o.TTLOf = func(string, string) time.Duration { return 0 } },
		"not for long enough": func(o *Options[string, string]) { o.TTLOf = func(string, string) time.Duration { return time.Second } },
		"LoadMany leaves it out": func(o *Options[string, string]) {
			o.LoadMany = func(context.Context, []string) (map[string]string, error) { return nil, nil }
		},
		"LoadMany fails": func(o *Options[string, string]) {
			o.LoadMany = func(context.Context, []string) (map[string]string, error) { return nil, down }
		},
	} {
		t.Run(name, func(t *testing.T) {
			tier := newFakeTier()
			c := newTest(t, &origin{}, clock.New(), withTier(tier), change)
			c.GetMany(background, []string{"k", "l"})
			if len(tier.sets) == 0 || tier.sets[0].Record != nil || len(tier.leases["test/1:k"]) != 0 {
				t.Errorf("Set %+v, leases %v", tier.sets, tier.leases)
			}
		})
	}
}

// One LoadMany loads all keys that neither memory nor the Tier has.
func TestGetManyWithTier(t *testing.T) {
	tier := newFakeTier()
	var asked [][]string
	many := func(o *Options[string, string]) {
		o.MissingTTL = time.Minute
		o.LoadMany = func(_ context.Context, keys []string) (map[string]string, error) {
			asked = append(asked, keys)
			m := map[string]string{}
			for _, k := range keys {
				if k != "none" {
					m[k] = k + " loaded"
				}
			}
			return m, nil
		}
	}
	a := newTest(t, &origin{}, clock.New(), withTier(tier), many)
	b := newTest(t, &origin{}, clock.New(), withTier(tier), many)
	a.GetMany(background, []string{"x", "none", "y"})
	want := []Result[string]{{"z loaded", true, nil}, {"", false, nil}, {"x loaded", true, nil}, {"y loaded", true, nil}, {"x loaded", true, nil}}
	for range 2 {
		got, err := b.GetMany(background, []string{"z", "none", "x", "y", "x"})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("GetMany = %v, %v; want %v", got, err, want)
		}
	}
	if len(asked) != 2 || !slices.Equal(asked[1], []string{"z"}) {
		t.Errorf("LoadMany was called with %q", asked)
	}
	if s := b.Stats(); s.TierHits != 3 || s.TierMisses != 1 {
		t.Errorf("Stats = %+v", s)
	}
	wantGet(t, newTest(t, &origin{}, clock.New(), withTier(tier)), "z", "z loaded")
}

// All callers take the leases of several keys in the same order.
func TestOneByOneCallsInOrder(t *testing.T) {
	var order []string
	tier := recordingTier{newFakeTier(), &order}
	leases, err := oneByOne{tier}.GetMany(background, []string{"c", "a", "b"}, nil)
	if err != nil || !slices.Equal(order, []string{"a", "b", "c"}) || !slices.Equal(leases, []string{"3", "1", "2"}) {
		t.Errorf("called with %q, got %q, %v", order, leases, err)
	}
}

type recordingTier struct {
	*fakeTier
	order *[]string
}

func (r recordingTier) Get(ctx context.Context, name string, use func([]byte) bool) (string, error) {
	*r.order = append(*r.order, name)
	return r.fakeTier.Get(ctx, name, use)
}

func TestTierOptions(t *testing.T) {
	for want, change := range map[string]func(*Options[string, string]){
		"Options.Namespace is":       func(o *Options[string, string]) { o.Namespace = "a:b" },
		`Options.Namespace is ""`:    func(o *Options[string, string]) { o.Namespace = "" },
		"Options.Codec":              func(o *Options[string, string]) { o.Codec = Codec[string]{} },
		"Options.ClockSkew is 1m0s":  func(o *Options[string, string]) { o.ClockSkew = time.Minute },
		"at most an hour":            func(o *Options[string, string]) { o.ClockSkew, o.TTL = 2*time.Hour, Forever },
		"Options.ClockSkew is neg":   func(o *Options[string, string]) { o.ClockSkew = -1 },
		"Options.TierTimeout is neg": func(o *Options[string, string]) { o.TierTimeout = -1 },
		"which is not set":           func(o *Options[string, string]) { o.Tier = nil },
	} {
		o := Options[string, string]{Load: (&origin{}).load, TTL: time.Minute}
		withTier(newFakeTier())(&o)
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v; want %q", err, want)
		}
	}
}

func TestTierHitsInMemoryDoNotAllocate(t *testing.T) {
	c := newTest(t, &origin{}, clock.New(), withTier(newFakeTier()))
	if n := testing.AllocsPerRun(100, func() { c.Get(background, "k") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// batchTier is a fakeTier that counts its batches.
type batchTier struct {
	oneByOne
	deletes [][]string
}

func (b *batchTier) DeleteMany(ctx context.Context, names []string) error {
	b.deletes = append(b.deletes, names)
	return b.oneByOne.DeleteMany(ctx, names)
}

// InvalidateMany is one call of a BatchTier, and holds for memory, for the Tier and for
// loads that are under way.
func TestInvalidateMany(t *testing.T) {
	fake, o := newFakeTier(), &origin{}
	for name, tier := range map[string]Tier{"Tier": fake, "BatchTier": &batchTier{oneByOne: oneByOne{fake}}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			o.calls.Store(0)
			change := withTier(tier)
			if tier == nil {
				change = func(*Options[string, string]) {}
			}
			c := newTest(t, o, clock.New(), change)
			for i, key := range []string{"a", "b", "c"} {
				wantGet(t, c, key, fmt.Sprintf("%s v%d", key, i+1))
			}
			if err := c.InvalidateMany(background, nil); err != nil {
				t.Error(err)
			}
			if err := c.InvalidateMany(background, []string{"a", "c", "a", "none"}); err != nil {
				t.Error(err)
			}
			wantGet(t, c, "b", "b v2")
			wantGet(t, c, "a", "a v4")
			wantGet(t, c, "c", "c v5")
			if b, ok := tier.(*batchTier); ok && (len(b.deletes) != 1 || len(b.deletes[0]) != 4) {
				t.Errorf("DeleteMany got %q", b.deletes)
			}
			c.InvalidateMany(background, []string{"a", "b", "c"})
		})
	}
}

// A failure of one Delete does not keep the others from being deleted.
func TestOneByOneDeletesTheRest(t *testing.T) {
	tier := failsFor{newFakeTier(), "b"}
	for _, name := range []string{"a", "b", "c"} {
		tier.records[name] = []byte{}
	}
	if err := (oneByOne{tier}).DeleteMany(background, []string{"a", "b", "c"}); err == nil || len(tier.records) != 1 {
		t.Errorf("DeleteMany: %v; left are %q", err, tier.records)
	}
}

type failsFor struct {
	*fakeTier
	name string
}

func (f failsFor) Delete(ctx context.Context, name string) error {
	if name == f.name {
		return errors.New("down")
	}
	return f.fakeTier.Delete(ctx, name)
}
