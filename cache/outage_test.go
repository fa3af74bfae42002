package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// hanging returns a cache with expired values of some keys, whose origin hangs or fails
// from now on, and a count of the loads since.
func hanging(t *testing.T, err error, change ...stringOptions) (*Cache[string, string], *atomic.Int64, func()) {
	t.Helper()
	var down atomic.Bool
	var loads atomic.Int64
	over := make(chan struct{})
	change = append([]stringOptions{func(o *Options[string, string]) {
		o.TTL, o.StaleIfError = time.Minute, time.Hour
		o.Load = func(_ context.Context, key string) (string, error) { // ignores its context
			if !down.Load() {
				return key + " old", nil
			}
			loads.Add(1)
			if err == nil {
				<-over
				return key + " late", nil
			}
			return "", err
		}
	}}, change...)
	c := newTest(t, &origin{}, clock.New(), change...)
	for i := range 20 {
		wantGet(t, c, fmt.Sprint("k", i), fmt.Sprintf("k%d old", i))
	}
	time.Sleep(2 * time.Minute)
	down.Store(true)
	return c, &loads, func() { close(over); time.Sleep(time.Hour) }
}

// Twenty Gets of a database that hangs take one LoadTimeout, of one key or of many.
func TestOutageIsCheap(t *testing.T) {
	for _, keys := range []int{1, 20} {
		synctest.Test(t, func(t *testing.T) {
			c, loads, over := hanging(t, nil, func(o *Options[string, string]) { o.LoadTimeout = 200 * time.Millisecond })
			defer over()
			began := time.Now()
			for i := range 20 {
				key := fmt.Sprint("k", i%keys)
				wantGet(t, c, key, key+" old")
			}
			if took := time.Since(began); took != 200*time.Millisecond || loads.Load() != 1 {
				t.Errorf("%d keys took %v and %d loads", keys, took, loads.Load())
			}
			time.Sleep(DefaultRetryAfter)
			wantGet(t, c, "k0", "k0 old")
			if took := time.Since(began); took != DefaultRetryAfter+400*time.Millisecond {
				t.Errorf("after RetryAfter: %v", took)
			}
		})
	}
}

// Five keys in one invocation of 3 seconds do not fail, without any other option.
func TestOutageWithinAnInvocation(t *testing.T) {
	for name, get := range map[string]func(c *Cache[string, string], ctx context.Context){
		"Get": func(c *Cache[string, string], ctx context.Context) {
			for i := range 5 {
				if v, err := c.Get(ctx, fmt.Sprint("k", i)); err != nil || !strings.HasSuffix(v, "old") {
					panic(fmt.Sprint(i, v, err))
				}
			}
		},
		"GetMany": func(c *Cache[string, string], ctx context.Context) {
			if r, err := c.GetMany(ctx, numbered("k", 5)); err != nil || found(r) != 5 {
				panic(fmt.Sprint(r, err))
			}
		},
	} {
		for _, many := range []bool{true, false} {
			for _, patience := range []time.Duration{100 * time.Millisecond, 3 * time.Second, 5 * time.Minute} {
				t.Run(fmt.Sprint(name, many, patience), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c, _, over := hanging(t, nil, func(o *Options[string, string]) {
							if load := o.Load; many {
								o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
									v, err := load(ctx, keys[0])
									return map[string]string{keys[0]: v}, err
								}
							}
						})
						defer over()
						ctx, cancel := context.WithTimeout(background, patience)
						defer cancel()
						began := time.Now()
						get(c, ctx)
						if took := time.Since(began); took > DefaultLoadTimeout || patience == 3*time.Second && took > 1500*time.Millisecond {
							t.Errorf("it took %v", took)
						}
					})
				})
			}
		}
	}
}

// StaleIfError works for callers without a deadline, too.
func TestOutageWithoutADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, over := hanging(t, nil)
		defer over()
		began := time.Now()
		wantGet(t, c, "k0", "k0 old")
		if took := time.Since(began); took != DefaultLoadTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// A load that fails is not tried again for RetryAfter, for its own key.
func TestRetryAfter(t *testing.T) {
	for name, get := range map[string]func(c *Cache[string, string], key string) string{
		"Get": func(c *Cache[string, string], key string) string { v, _ := c.Get(background, key); return v },
		"GetMany": func(c *Cache[string, string], key string) string {
			r, _ := c.GetMany(background, []string{key})
			return r[0].Value
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				down := errors.New("down")
				c, loads, over := hanging(t, down, func(o *Options[string, string]) {
					o.RetryAfter = 5 * time.Second
					load := o.Load
					o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
						v, err := load(ctx, keys[0])
						if err != nil {
							return nil, err
						}
						return map[string]string{keys[0]: v}, nil
					}
				})
				defer over()
				for range 10 {
					if v := get(c, "k0"); v != "k0 old" {
						t.Errorf("%q", v)
					}
				}
				if n := loads.Load(); n != 1 {
					t.Errorf("%d loads", n)
				}
				get(c, "k1")
				if n := loads.Load(); n != 2 {
					t.Errorf("%d loads: an error is of its own key", n)
				}
				time.Sleep(5*time.Second - 1)
				get(c, "k0")
				time.Sleep(time.Nanosecond)
				get(c, "k0")
				if n := loads.Load(); n != 3 {
					t.Errorf("%d loads", n)
				}
				if s := c.Stats(); s.StaleServed != 13 {
					t.Errorf("%+v", s)
				}
				// A caller that requires a fresh value does not get the stale one.
				for range 2 {
					if v, err := c.Refresh(background, "k0"); err != down {
						t.Errorf("Refresh = %q, %v", v, err)
					}
					if v, err := c.GetWithin(background, "k0", time.Second); err != down {
						t.Errorf("GetWithin = %q, %v", v, err)
					}
				}
				if v, err := c.Get(background, "never loaded"); err != down {
					t.Errorf("Get = %q, %v", v, err)
				}
			})
		})
	}
}

// Once a load succeeds, other keys are loaded again too.
func TestOutageIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		var loads atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.StaleIfError, o.LoadTimeout = time.Hour, 200*time.Millisecond
			o.Load = func(ctx context.Context, key string) (string, error) {
				if hangs.Load() {
					<-ctx.Done()
					return "", ctx.Err()
				}
				return fmt.Sprint(key, " v", loads.Add(1)), nil
			}
		})
		wantGet(t, c, "a", "a v1")
		wantGet(t, c, "b", "b v2")
		time.Sleep(time.Minute)
		hangs.Store(true)
		wantGet(t, c, "a", "a v1")
		hangs.Store(false)
		wantGet(t, c, "b", "b v2") // within RetryAfter
		wantGet(t, c, "new", "new v3")
		wantGet(t, c, "b", "b v4")
	})
}

// A short deadline of one caller does not count as an outage for other keys.
func TestHurriedCallerIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, loads, over := hanging(t, nil)
		defer over()
		for i := range 3 {
			ctx, cancel := context.WithTimeout(background, 100*time.Millisecond)
			defer cancel()
			if v, err := c.Get(ctx, fmt.Sprint("k", i)); err != nil {
				t.Errorf("%q, %v", v, err)
			}
		}
		if n := loads.Load(); n != 3 {
			t.Errorf("%d loads", n)
		}
	})
}

// A caller whose stale value is deleted while it waits has the other half of its time.
func TestStaleValueThatIsDeletedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.StaleIfError = time.Hour
			o.Load = func(context.Context, string) (string, error) {
				n := loads.Add(1)
				if n == 2 {
					time.Sleep(time.Minute)
				}
				return fmt.Sprint("v", n), nil
			}
		})
		wantGet(t, c, "k", "v1")
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(background, 10*time.Second)
		defer cancel()
		got := get(c, ctx)
		time.Sleep(time.Second)
		c.Delete("k")
		if s := <-got; s != "v3 <nil>" {
			t.Errorf("got %q", s)
		}
		time.Sleep(time.Minute)
	})
}

// A failure marks the item that was to be replaced, not a younger one.
func TestRetryAfterAndClocks(t *testing.T) {
	for name, move := range map[string][2]time.Duration{"wall": {time.Second, 0}, "monotonic": {0, time.Second}, "wall back": {-time.Hour, 0}} {
		clocks, o := clocktest.New(), &origin{}
		c := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) { opts.TTL, opts.StaleIfError = 1, 1000*time.Hour })
		wantGet(t, c, "k", "k v1")
		clocks.Move(2*time.Hour, 2*time.Hour)
		o.err = errors.New("down")
		wantGet(t, c, "k", "k v1")
		wantGet(t, c, "k", "k v1")
		wantLoads(t, o, 2)
		clocks.Move(move[0], move[1])
		wantGet(t, c, "k", "k v1")
		if o.calls.Load() != 3 {
			t.Errorf("%s: %d loads after RetryAfter", name, o.calls.Load())
		}
	}
}
