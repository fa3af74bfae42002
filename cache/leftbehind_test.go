package cache

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// A call without a deadline that an earlier invocation has left behind, and whose
// connection has died, costs later invocations at most one wait.
func TestCallLeftBehindWithoutADeadline(t *testing.T) {
	lambda, cancel := context.WithTimeout(background, 3*time.Second)
	defer cancel()
	for name, leave := range map[string]func(*testing.T, *Cache[string, string]){
		"go Get":        func(_ *testing.T, c *Cache[string, string]) { go c.Get(background, "k") },
		"go Refresh":    func(_ *testing.T, c *Cache[string, string]) { go c.Refresh(background, "k") },
		"go GetMany":    func(_ *testing.T, c *Cache[string, string]) { go c.GetMany(background, []string{"a", "k"}) },
		"WithoutCancel": func(_ *testing.T, c *Cache[string, string]) { go c.Get(context.WithoutCancel(lambda), "k") },
		"WithCancel": func(t *testing.T, c *Cache[string, string]) {
			ctx, cancel := context.WithCancel(background)
			t.Cleanup(cancel)
			go c.Get(ctx, "k")
		},
		"of another key's load": func(_ *testing.T, c *Cache[string, string]) { go c.Get(background, "page") },
	} {
		for _, later := range []time.Duration{0, 50 * time.Millisecond, 2 * time.Second} {
			for how, get := range map[string]func(*Cache[string, string], context.Context) error{
				"Get":     func(c *Cache[string, string], ctx context.Context) error { _, err := c.Get(ctx, "k"); return err },
				"Refresh": func(c *Cache[string, string], ctx context.Context) error { _, err := c.Refresh(ctx, "k"); return err },
				"GetMany": func(c *Cache[string, string], ctx context.Context) error {
					_, err := c.GetMany(ctx, []string{"k", "b"})
					return err
				},
			} {
				t.Run(fmt.Sprint(name, ", ", how, " after ", later), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						dead := make(chan struct{})
						defer close(dead)
						var loads atomic.Int64
						var c *Cache[string, string]
						c = newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
							o.TTL = 5 * time.Minute
							o.Load = func(ctx context.Context, key string) (string, error) {
								if key == "page" {
									return c.Get(ctx, "k")
								}
								if loads.Add(1) == 1 {
									<-dead
								}
								return "v", nil
							}
							o.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
								v, err := o.Load(ctx, keys[0])
								return map[string]string{"k": v, "a": v, "b": v}, err
							}
						})
						leave(t, c)
						synctest.Wait()
						time.Sleep(later)
						failed := 0
						for range 10 {
							ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
							defer cancel()
							if get(c, ctx) != nil {
								failed++
							}
						}
						if failed > 1 || later > time.Second && how != "Refresh" && failed > 0 {
							t.Errorf("%d of 10 later calls failed", failed)
						}
					})
				})
			}
		}
	}
}

// A Load that requests its own key through a helper without a context waits for itself. Its
// callers leave, and later ones do not join it.
func TestLoadOfItsOwnKeyWithoutItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int64
		var c *Cache[string, string]
		c = newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(ctx context.Context, key string) (string, error) {
				if loads.Add(1) == 1 {
					return c.Get(background, key)
				}
				return "v", nil
			}
		})
		failed := 0
		for range 10 {
			ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
			defer cancel()
			if _, err := c.Get(ctx, "k"); err != nil {
				failed++
			}
		}
		if failed > 2 { // its own caller, and one more
			t.Errorf("%d calls failed", failed)
		}
		time.Sleep(DefaultLoadTimeout)
	})
}

// Without a context, such a Load ends at DefaultLoadTimeout.
func TestLoadOfItsOwnKeyWithoutAnyContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Cache[string, string]
		c = newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(_ context.Context, key string) (string, error) { return c.Get(background, key) }
		})
		began := time.Now()
		_, err := c.Get(background, "k")
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != DefaultLoadTimeout {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// Without LoadTimeout there is a default, for all kinds of callers.
func TestDefaultLoadTimeout(t *testing.T) {
	for name, ctx := range map[string]func() (context.Context, context.CancelFunc){
		"no deadline":   func() (context.Context, context.CancelFunc) { return background, func() {} },
		"cancellable":   func() (context.Context, context.CancelFunc) { return context.WithCancel(background) },
		"late deadline": func() (context.Context, context.CancelFunc) { return context.WithTimeout(background, time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := ctx()
				defer cancel()
				c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
					o.Load = func(ctx context.Context, _ string) (string, error) {
						<-ctx.Done()
						return "", ctx.Err()
					}
				})
				began := time.Now()
				_, err := c.Get(ctx, "k")
				if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != DefaultLoadTimeout {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}

// LoadTimeout Forever is no limit.
func TestLoadTimeoutForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.LoadTimeout = Forever
			o.TTL = Forever
			o.Load = func(ctx context.Context, _ string) (string, error) {
				if _, ok := ctx.Deadline(); ok {
					t.Error("Load has a deadline")
				}
				time.Sleep(10 * time.Minute)
				return "v", nil
			}
		})
		wantGet(t, c, "k", "v")
	})
}

// A slow load is cached if callers without a deadline wait for it, although younger
// callers do not join it.
func TestSlowLoadWithoutADeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) {
				n := loads.Add(1)
				time.Sleep(5 * time.Second)
				return fmt.Sprint("v", n), nil
			}
		})
		first := get(c, background)
		time.Sleep(2 * time.Second)
		second := get(c, background)
		time.Sleep(3*time.Second + 1)
		if v, ok := c.Peek("k"); v != "v1" || !ok {
			t.Errorf("after the first load: %q, %v", v, ok)
		}
		<-first
		<-second
		if v, ok := c.Peek("k"); v != "v2" || !ok {
			t.Errorf("after the second load: %q, %v", v, ok)
		}
	})
}

// A load that has been replaced is not cached after Delete.
func TestDeleteDuringAReplacedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads atomic.Int64
		c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
			o.Load = func(context.Context, string) (string, error) {
				n := loads.Add(1)
				if n == 1 {
					time.Sleep(5 * time.Second)
				}
				return fmt.Sprint("v", n), nil
			}
		})
		first := get(c, background)
		time.Sleep(2 * time.Second)
		wantGet(t, c, "k", "v2")
		c.Delete("k")
		if got := <-first; got != "v1 <nil>" {
			t.Errorf("the first caller got %q", got)
		}
		if v, ok := c.Peek("k"); ok {
			t.Errorf("kept %q", v)
		}
	})
}
