package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// lookup is a LoadMany whose answer depends on the key: "x..." does not exist, "e..."
// fails.
func lookup(_ context.Context, keys []string) (map[string]string, error) {
	values, failed := map[string]string{}, KeyErrors[string]{}
	for _, k := range keys {
		switch k[0] {
		case 'x':
		case 'e':
			failed[k] = errors.New("throttled " + k)
		default:
			values[k] = k + " loaded"
		}
	}
	return values, failed
}

func found(results []Result[string]) (n int) {
	for _, r := range results {
		if r.Found {
			n++
		}
	}
	return n
}

func numbered(prefix string, n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint(prefix, i))
	}
	return keys
}

// Ten hits, nine loaded and one failed are nineteen values and one error.
func TestBatchThatFailsInPart(t *testing.T) {
	for name, load := range map[string]func(context.Context, []string) (map[string]string, error){
		"KeyErrors": lookup,
		"wrapped": func(ctx context.Context, keys []string) (map[string]string, error) {
			v, err := lookup(ctx, keys)
			return v, fmt.Errorf("batch: %w", err)
		},
		"one error for all": func(ctx context.Context, keys []string) (map[string]string, error) {
			v, err := lookup(ctx, keys)
			if len(err.(KeyErrors[string])) > 0 {
				return v, errors.New("throttled e")
			}
			return v, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) { o.LoadMany = load })
			keys := append(numbered("a", 10), numbered("b", 9)...)
			c.GetMany(background, keys[:10])
			results, err := c.GetMany(background, append(keys, "e"))
			if found(results) != 19 || err == nil || err != results[19].Err || results[19].Found || err.Error()[:11] != "throttled e" {
				t.Errorf("%d found, %v", found(results), err)
			}
			if n := c.Len(); n != 19 {
				t.Errorf("%d are kept", n)
			}
			if s := c.Stats(); s.LoadErrors != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A key that fails is not a known miss; a key that is left out is one.
func TestUnknownKeysAreNotKnownMisses(t *testing.T) {
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
		o.LoadMany, o.MissingTTL = lookup, time.Minute
	})
	r, _ := c.GetMany(background, []string{"e", "x"})
	if r[0].Err == nil || r[1].Err != nil || r[0].Found || r[1].Found {
		t.Errorf("%+v", r)
	}
	wantGet(t, c, "e", "e v1")
	if _, err := c.Get(background, "x"); err != ErrNotFound {
		t.Errorf("Get of a known miss = %v", err)
	}
}

// A key may fail because it does not exist, with the origin's own error.
func TestKeyErrorThatIsNotFound(t *testing.T) {
	why := fmt.Errorf("deleted: %w", ErrNotFound)
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
		o.MissingTTL = time.Minute
		o.LoadMany = func(context.Context, []string) (map[string]string, error) {
			return nil, KeyErrors[string]{"k": why}
		}
	})
	r, err := c.GetMany(background, []string{"k"})
	if err != nil || r[0].Err != nil || r[0].Found {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Get(background, "k"); err != why {
		t.Errorf("Get = %v", err)
	}
	if s := c.Stats(); s.LoadErrors != 0 {
		t.Errorf("%+v", s)
	}
}

func TestBatchWithoutLoadManyThatFailsInPart(t *testing.T) {
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
		o.Load = func(ctx context.Context, key string) (string, error) {
			v, err := lookup(ctx, []string{key})
			if e := err.(KeyErrors[string])[key]; e != nil {
				return "", e
			}
			if _, ok := v[key]; !ok {
				return "", ErrNotFound
			}
			return v[key], nil
		}
	})
	r, err := c.GetMany(background, []string{"a", "e", "x", "b"})
	if err == nil || r[1].Err != err || r[0].Value != "a loaded" || r[3].Value != "b loaded" || r[2].Err != nil || r[2].Found {
		t.Errorf("%+v, %v", r, err)
	}
}

// A Get that joins a batch gets its key's error or value.
func TestGetJoinsABatchThatFailsInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) { <-gate; return lookup(ctx, keys) }
		})
		go c.GetMany(background, []string{"e", "k"})
		synctest.Wait()
		ok := get(c, background)
		failed := make(chan error)
		go func() { _, err := c.Get(background, "e"); failed <- err }()
		synctest.Wait()
		close(gate)
		if got := <-ok; got != "k loaded <nil>" {
			t.Error(got)
		}
		if err := <-failed; err == nil || err.Error() != "throttled e" {
			t.Error(err)
		}
	})
}

func TestMaxBatch(t *testing.T) {
	var sizes []int
	var down atomic.Bool
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
		o.MaxBatch, o.MaxEntries = 10, 100
		o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
			sizes = append(sizes, len(keys))
			if down.Load() && slices.Contains(keys, "c15") {
				return nil, errors.New("throttled")
			}
			return lookup(ctx, keys)
		}
	})
	r, err := c.GetMany(background, append(numbered("a", 25), "a3"))
	if found(r) != 26 || err != nil || !slices.Equal(sizes, []int{10, 10, 5}) {
		t.Errorf("%d found in batches of %d, %v", found(r), sizes, err)
	}
	down.Store(true)
	r, err = c.GetMany(background, numbered("c", 30))
	if found(r) != 20 || err == nil || r[9].Err != nil || r[10].Err == nil || r[20].Err != nil {
		t.Errorf("%d found, %v", found(r), err)
	}
}

// LoadTimeout counts for each batch, and no batch follows one that has timed out.
func TestMaxBatchAndLoadTimeout(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			hang := make(chan struct{})
			c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
				o.MaxBatch, o.LoadTimeout = 1, time.Second
				o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
					if calls++; calls == 3 {
						select {
						case <-hang:
						case <-map[bool]<-chan struct{}{true: ctx.Done()}[heeds]:
							return nil, ctx.Err()
						}
					}
					time.Sleep(900 * time.Millisecond)
					return lookup(ctx, keys)
				}
			})
			r, err := c.GetMany(background, numbered("a", 4))
			if !errors.Is(err, context.DeadlineExceeded) || heeds && (found(r) != 2 || calls != 3) {
				t.Errorf("heeds %v: %d found, %d calls, %v", heeds, found(r), calls, err)
			}
			if n := c.Len(); n != 2 {
				t.Errorf("%d are kept", n)
			}
			close(hang)
			time.Sleep(time.Hour)
		})
	}
}

// Keys that LoadMany was not called with are cached too, but they replace no younger
// value, and not after an invalidation.
func TestOtherKeysOfABatch(t *testing.T) {
	var during func(c *Cache[string, string])
	var c *Cache[string, string]
	o := &origin{}
	c = newTest(t, o, clock.New(), func(opts *Options[string, string]) {
		opts.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
			if during != nil {
				during(c)
			}
			return map[string]string{keys[0]: "asked", "other": "from " + keys[0]}, nil
		}
	})
	c.GetMany(background, []string{"a"})
	wantGet(t, c, "other", "from a")
	for name, f := range map[string]func(c *Cache[string, string]){
		"Delete":      func(c *Cache[string, string]) { c.Delete("other") },
		"Clear":       func(c *Cache[string, string]) { c.Clear() },
		"Refresh":     func(c *Cache[string, string]) { c.Refresh(background, "other") },
		"younger Get": func(c *Cache[string, string]) { c.kept.remove("other", func() {}); c.Get(background, "other") },
	} {
		c.Delete("other")
		during = f
		c.GetMany(background, []string{name})
		if v, ok := c.Peek("other"); ok && v == "from "+name {
			t.Errorf("%s: kept %q", name, v)
		}
	}
}

// The caller's own keys are not evicted for the others.
func TestManyOtherKeysOfABatch(t *testing.T) {
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
		o.MaxEntries = 10
		o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
			return lookup(ctx, append(numbered("a", 100), keys...))
		}
	})
	c.GetMany(background, []string{"k", "l"})
	for _, k := range []string{"k", "l"} {
		if _, ok := c.Peek(k); !ok {
			t.Errorf("%s is not kept", k)
		}
	}
}

// A stale value that grows too old while GetMany waits for other keys is not returned.
func TestStaleValueThatGrowsTooOldInABatch(t *testing.T) {
	clocks := clocktest.New()
	fails := false
	c := newTest(t, &origin{}, clocks.Clock(), func(o *Options[string, string]) {
		o.StaleIfError = time.Minute
		o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
			if fails {
				clocks.Move(40*time.Second, 40*time.Second)
				return nil, errors.New("down")
			}
			return lookup(ctx, keys)
		}
	})
	c.GetMany(background, []string{"a"})
	clocks.Move(100*time.Second, 100*time.Second)
	fails = true
	if r, err := c.GetMany(background, []string{"a", "b"}); err == nil || r[0].Found {
		t.Errorf("%+v, %v", r, err)
	}
}

// Leaving a batch costs a caller no more than its keys.
func TestLeavingAJoinedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) { <-gate; return lookup(ctx, keys) }
		})
		keys := numbered("a", 100_000) // quadratic: half a minute
		go c.GetMany(background, keys)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if _, err := c.GetMany(ctx, keys); err != context.DeadlineExceeded {
			t.Error(err)
		}
		close(gate)
	})
}

// At the caller's deadline, GetMany returns the values that have arrived.
func TestBatchOfACallerWhoseTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
				if keys[0] == "slow" {
					<-gate
				}
				return lookup(ctx, keys)
			}
		})
		c.GetMany(background, []string{"a"})
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		r, err := c.GetMany(ctx, []string{"a", "slow"})
		if err != context.DeadlineExceeded || r[0].Value != "a loaded" || r[1].Err != err {
			t.Errorf("%+v, %v", r, err)
		}
		close(gate)
	})
}
