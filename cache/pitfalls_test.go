package cache

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// These are faults of other caches, by name. Each has happened in a library that people
// use.
func TestPitfalls(t *testing.T) {
	for name, test := range map[string]func(t *testing.T){
		// Keys printed into one string: {"tenant 1","x"} got the data of {"tenant","1 x"}.
		"key collision": func(t *testing.T) {
			type key struct{ Tenant, ID string }
			block := make(chan struct{})
			c := Must(New(Options[key, key]{TTL: time.Hour, Load: func(_ context.Context, k key) (key, error) {
				<-block
				return k, nil
			}}))
			keys := []key{{"tenant 1", "x"}, {"tenant", "1 x"}}
			got := make(chan bool)
			for _, k := range keys { // loaded together: single flight must tell them apart too
				go func() {
					v, err := c.Get(background, k)
					got <- v == k && err == nil
				}()
			}
			synctest.Wait()
			close(block)
			for range keys {
				if !<-got {
					t.Error("a caller got another one's data")
				}
			}
		},
		// One value above the bound made room for itself by emptying the cache.
		"oversize wipe": func(t *testing.T) {
			c := Must(New(Options[int, int]{TTL: time.Hour, MaxBytes: 1000,
				Load: func(_ context.Context, n int) (int, error) { return n, nil },
				Size: func(_, n int) int64 { return int64(n) }}))
			for n := 100; n < 108; n++ {
				c.Get(background, n)
			}
			c.Get(background, 5000)
			if c.Len() != 8 {
				t.Errorf("%d of 8 values survive", c.Len())
			}
		},
		// A key of interface type that cannot be hashed panicked under the lock, for ever.
		"unhashable key": func(t *testing.T) {
			if err := newErr(Options[any, int]{TTL: 1, Load: func(context.Context, any) (int, error) { return 0, nil }}); err == nil {
				t.Error("New takes keys that may not be hashable")
			}
		},
		// NaN is never found again: 1000 entries in a cache of 10.
		"NaN": func(t *testing.T) {
			if err := newErr(Options[[1]float32, int]{TTL: 1, Load: func(context.Context, [1]float32) (int, error) { return 0, nil }}); err == nil {
				t.Error("New takes keys that may be NaN")
			}
		},
		// now + MaxInt64 is long ago.
		"MaxInt64 TTL": func(t *testing.T) {
			for _, ttl := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1} {
				o := &origin{}
				c := newTest(t, o, clock.New(), func(opts *Options[string, string]) { opts.TTL = ttl })
				wantGet(t, c, "k", "k v1")
				wantGet(t, c, "k", "k v1")
			}
		},
		// A load that never returned blocked all later callers, and other keys too.
		"zombie leader": func(t *testing.T) {
			never := make(chan struct{})
			defer close(never)
			var calls atomic.Int64
			c := newTest(t, &origin{}, clock.New(), func(opts *Options[string, string]) {
				opts.Load = func(_ context.Context, key string) (string, error) {
					if key == "k" && calls.Add(1) == 1 {
						<-never
					}
					return key, nil
				}
			})
			ctx, cancel := context.WithTimeout(background, time.Second)
			defer cancel()
			if _, err := c.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first caller got %v", err)
			}
			wantGet(t, c, "k", "k")
			wantGet(t, c, "other", "other")
		},
		// The old value came back after Delete, because a load was in flight.
		"late overwrite after Delete": func(t *testing.T) {
			o := &origin{wait: make(chan struct{})}
			c := newTest(t, o, clock.New())
			before := get(c, background)
			synctest.Wait()
			c.Delete("k")
			close(o.wait)
			<-before
			if v, ok := c.Peek("k"); ok {
				t.Errorf("kept %q", v)
			}
		},
		// Caches that trust the monotonic clock served a value with a TTL of a minute
		// for an hour.
		"stale after the monotonic clock stopped": func(t *testing.T) {
			clocks := clocktest.New()
			c := newTest(t, &origin{}, clocks.Clock())
			wantGet(t, c, "k", "k v1")
			clocks.Move(30*time.Minute, 0)
			wantGet(t, c, "k", "k v2")
		},
		// The first caller hung up, and all others got its "context canceled".
		"leader's context error": func(t *testing.T) {
			o := &origin{wait: make(chan struct{})}
			c := newTest(t, o, clock.New())
			ctx, cancel := context.WithCancel(background)
			first := get(c, ctx)
			synctest.Wait()
			second := get(c, background)
			synctest.Wait()
			cancel()
			<-first
			close(o.wait)
			if got := <-second; got != "k v1 <nil>" {
				t.Errorf("the second caller got %q", got)
			}
		},
		// A follower with 60 ms to spare waited 600 ms.
		"follower's context": func(t *testing.T) {
			o := &origin{wait: make(chan struct{})}
			c := newTest(t, o, clock.New())
			first := get(c, background)
			synctest.Wait()
			began := time.Now()
			ctx, cancel := context.WithTimeout(background, 60*time.Millisecond)
			defer cancel()
			if _, err := c.Get(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 60*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			close(o.wait)
			<-first
		},
		// runtime.Goexit in a load (t.FailNow) left waiters hanging, or gave them the zero value.
		"Goexit": func(t *testing.T) {
			for _, ctx := range []context.Context{background, t.Context()} {
				c := newTest(t, &origin{}, clock.New(), func(opts *Options[string, string]) {
					opts.Load = func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil }
				})
				exited := make(chan bool)
				go func() {
					ok := true
					defer func() { exited <- ok && recover() == nil }()
					c.Get(ctx, "k")
					ok = false
				}()
				if !<-exited {
					t.Error("Get returned")
				}
			}
		},
		// A panic in a goroutine of the library's killed the process and its warm cache.
		"panic": func(t *testing.T) {
			for _, ctx := range []context.Context{background, t.Context()} {
				c := newTest(t, &origin{}, clock.New(), func(opts *Options[string, string]) {
					opts.Load = func(context.Context, string) (string, error) { panic("boom") }
				})
				func() {
					defer func() {
						if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "boom") {
							t.Errorf("recovered %v", err)
						}
					}()
					c.Get(ctx, "k")
				}()
			}
		},
		// A callback that used the cache deadlocked on its lock.
		"callback deadlock": func(t *testing.T) {
			var c *Cache[string, string]
			use := func() { c.Peek("other"); c.Len(); c.Stats(); c.Delete("other"); c.Get(background, "more") }
			c = Must(New(Options[string, string]{
				TTL: time.Hour, MaxBytes: 10,
				Load: func(_ context.Context, key string) (string, error) {
					if key != "more" {
						use()
					}
					return key, nil
				},
				Size:  func(key, _ string) int64 { c.Len(); c.Peek(key); return 6 },
				TTLOf: func(key, _ string) time.Duration { c.Len(); c.Peek(key); return time.Minute },
				Clone: func(v string) string { c.Len(); return v },
			}))
			for _, key := range []string{"a", "b", "a"} {
				if v, err := c.Get(background, key); v != key || err != nil {
					t.Errorf("Get = %q, %v", v, err)
				}
			}
		},
		// Errors were cached, or a failed load stored a zero value.
		"error kept": func(t *testing.T) {
			o := &origin{err: errors.New("down")}
			c := newTest(t, o, clock.New())
			for range 2 {
				if _, err := c.Get(background, "k"); err != o.err {
					t.Errorf("Get = %v", err)
				}
			}
			if o.calls.Load() != 2 || c.Len() != 0 {
				t.Errorf("%d loads, %d kept", o.calls.Load(), c.Len())
			}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}
