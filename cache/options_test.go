package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

type stringOptions = func(*Options[string, string])

func TestContradictingOptions(t *testing.T) {
	size := func(string, string) int64 { return 1 }
	for _, tt := range []struct {
		change stringOptions
		want   []string
	}{
		{func(o *Options[string, string]) { o.MaxBytes = 1 }, []string{"MaxBytes", "Size"}},
		{func(o *Options[string, string]) { o.Size = size }, []string{"Size", "MaxBytes"}},
		{func(o *Options[string, string]) { o.TTL, o.Jitter = Forever, 0.1 }, []string{"Jitter", "TTL"}},
		{func(o *Options[string, string]) { o.TTL, o.StaleIfError = Forever, 1 }, []string{"StaleIfError", "TTL"}},
		{func(o *Options[string, string]) { o.Jitter = 1 }, []string{"Jitter"}},
		{func(o *Options[string, string]) { o.Jitter = -0.1 }, []string{"Jitter"}},
		{func(o *Options[string, string]) { o.Jitter = math.NaN() }, []string{"Jitter"}},
		{func(o *Options[string, string]) { o.MissingTTL = -1 }, []string{"MissingTTL"}},
		{func(o *Options[string, string]) { o.StaleIfError = -1 }, []string{"StaleIfError"}},
		{func(o *Options[string, string]) { o.LoadTimeout = -1 }, []string{"LoadTimeout"}},
		{func(o *Options[string, string]) { o.MaxBytes, o.Size = -1, size }, []string{"MaxBytes"}},
	} {
		opts := Options[string, string]{Load: (&origin{}).load, TTL: 1}
		tt.change(&opts)
		err := newErr(opts)
		for _, name := range tt.want {
			if err == nil || !strings.Contains(err.Error(), "Options."+name) {
				t.Errorf("New returned %v, want an error that names %v", err, tt.want)
			}
		}
	}
}

func TestTTLOf(t *testing.T) {
	clocks := clocktest.New()
	ttls := map[string]time.Duration{"short": time.Second, "long": time.Hour, "none": 0, "negative": -1}
	c := newTest(t, &origin{}, clocks.Clock(), func(o *Options[string, string]) {
		o.TTLOf = func(key, v string) time.Duration { return ttls[key] }
	})
	kept := func(want ...string) {
		t.Helper()
		var got []string
		for _, key := range slices.Sorted(maps.Keys(ttls)) {
			if _, ok := c.Peek(key); ok {
				got = append(got, key)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("kept are %v, want %v", got, want)
		}
	}
	for key := range ttls {
		c.Get(background, key)
	}
	kept("long", "short")
	clocks.Move(time.Second, 0)
	kept("long")
	clocks.Move(time.Minute-time.Second, 0) // longer than TTL is TTL
	kept()
}

// A value that is not cached still replaces an older one.
func TestValueNotToBeKeptRemovesTheOlder(t *testing.T) {
	ttl := time.Minute
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
		o.TTLOf = func(string, string) time.Duration { return ttl }
	})
	wantGet(t, c, "k", "k v1")
	ttl = 0
	if v, err := c.Refresh(background, "k"); v != "k v2" || err != nil {
		t.Errorf("Refresh = %q, %v", v, err)
	}
	wantGet(t, c, "k", "k v3")
}

func TestJitter(t *testing.T) {
	c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) { o.Jitter = 0.25 })
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := c.ttl("k", "v")
		low, high = min(low, d), max(high, d)
	}
	if low < 45*time.Second || high > time.Minute || high-low < 10*time.Second {
		t.Errorf("TTLs are from %v to %v, want most of 45 s to 1 min", low, high)
	}
	if d := c.jitter(1); d != 1 {
		t.Errorf("jitter(1) = %v", d)
	}
}

func TestMissingTTL(t *testing.T) {
	clocks := clocktest.New()
	o := &origin{err: fmt.Errorf("no row: %w", ErrNotFound)}
	c := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) {
		opts.MissingTTL, opts.StaleIfError = time.Second, time.Hour
	})
	for range 3 {
		if v, err := c.Get(background, "k"); err != o.err || v != "" {
			t.Errorf("Get = %q, %v; want the origin's own error", v, err)
		}
	}
	if n := o.calls.Load(); n != 1 {
		t.Errorf("%d loads", n)
	}
	if v, ok := c.Peek("k"); ok {
		t.Errorf("Peek = %q", v)
	}
	clocks.Move(time.Second, 0)
	o.err = nil
	wantGet(t, c, "k", "k v2")
	// A value replaces a known miss at once, without a stale answer.
	o.err = ErrNotFound
	clocks.Move(time.Minute, 0)
	if _, err := c.Get(background, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a deleted row = %v", err)
	}
}

func TestNotFoundForgetsTheValue(t *testing.T) {
	o := &origin{}
	c := newTest(t, o, clock.New())
	wantGet(t, c, "k", "k v1")
	o.err = ErrNotFound
	if _, err := c.Refresh(background, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Refresh = %v", err)
	}
	if _, ok := c.Peek("k"); ok {
		t.Error("the value is still kept")
	}
}

func TestStaleIfError(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	c := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) { opts.StaleIfError = time.Minute })
	wantGet(t, c, "k", "k v1")
	o.err = errors.New("database is down")
	clocks.Move(2*time.Minute-1, time.Minute)
	wantGet(t, c, "k", "k v1")
	if v, ok := c.Peek("k"); ok {
		t.Errorf("Peek of a stale value = %q", v)
	}
	if _, err := c.Refresh(background, "k"); err != o.err {
		t.Errorf("Refresh = %v: it must not return the cached value", err)
	}
	for name, move := range map[string][2]time.Duration{"wall": {1, 0}, "monotonic": {0, time.Minute}} {
		c2 := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) { opts.StaleIfError = time.Minute })
		o.err = nil
		c2.Get(background, "k")
		o.err = errors.New("database is down")
		clocks.Move(2*time.Minute-1, time.Minute)
		clocks.Move(move[0], move[1])
		if _, err := c2.Get(background, "k"); err != o.err {
			t.Errorf("%s clock: Get past StaleIfError = %v", name, err)
		}
	}
	if _, err := c.Get(background, "other"); err != o.err {
		t.Errorf("Get of a value that was not cached = %v", err)
	}
	if s := c.Stats(); s.StaleServed != 1 {
		t.Errorf("Stats = %+v", s)
	}
	c.Delete("k")
	if _, err := c.Get(background, "k"); err != o.err {
		t.Errorf("Get after Delete = %v", err)
	}
}

func TestStaleForAsLongAsCanBeCounted(t *testing.T) {
	clocks, o := clocktest.New(), &origin{}
	c := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) { opts.TTL, opts.StaleIfError = Forever/2+1, Forever/2+1 })
	wantGet(t, c, "k", "k v1")
	o.err = errors.New("down")
	clocks.Move(math.MaxInt64/2-clocksNow(clocks)/2, 0)
	wantGet(t, c, "k", "k v1")
}

func clocksNow(c *clocktest.Clocks) time.Duration { return time.Duration(c.Now().Wall) }

func TestLoadTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		c := newTest(t, o, clock.New(), func(opts *Options[string, string]) {
			opts.LoadTimeout, opts.StaleIfError, opts.TTL = time.Second, time.Hour, time.Minute
		})
		wantGet(t, c, "k", "k v1")
		o.wait = make(chan struct{}) // it ignores its context
		defer close(o.wait)
		time.Sleep(time.Minute)
		began := time.Now()
		wantGet(t, c, "k", "k v1") // stale
		_, err := c.Get(background, "other")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "LoadTimeout (1s)") {
			t.Errorf("Get = %v", err)
		}
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("two Gets took %v", d)
		}
		// A caller whose own deadline has passed gets its own error.
		ctx, cancel := context.WithTimeout(background, time.Millisecond)
		defer cancel()
		if _, err := c.Get(ctx, "another"); err != context.DeadlineExceeded {
			t.Errorf("Get = %v", err)
		}
	})
}

func TestMaxBytes(t *testing.T) {
	c := Must(New(Options[int, string]{
		TTL: time.Hour, MaxBytes: 1000,
		Load: func(_ context.Context, n int) (string, error) { return strings.Repeat("x", n), nil },
		Size: func(_ int, v string) int64 { return int64(len(v)) },
	}))
	for n := 100; n <= 107; n++ {
		c.Get(background, n) // 828 bytes
	}
	if v, err := c.Get(background, 5000); len(v) != 5000 || err != nil {
		t.Errorf("the oversize value was not returned: %d bytes, %v", len(v), err)
	}
	if s := c.Stats(); s.Entries != 8 || s.Bytes != 828 || s.Oversize != 1 {
		t.Errorf("one oversize value changed the entries: %+v", s)
	}
	c.Get(background, 500) // 328 bytes too many: the four oldest go
	if s := c.Stats(); s.Entries != 5 || s.Bytes != 104+105+106+107+500 || s.EvictedBytes != 4 {
		t.Errorf("Stats = %+v", s)
	}
	c.Get(background, 1000) // exactly as much as there may be
	if s := c.Stats(); s.Entries != 1 || s.Bytes != 1000 {
		t.Errorf("Stats = %+v", s)
	}
	c.Delete(1000)
	c.Get(background, 1)
	c.Clear()
	if s := c.Stats(); s.Entries != 0 || s.Bytes != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// Replacing a value subtracts the size of the old one.
func TestBytesOfReplacedValues(t *testing.T) {
	size := int64(400)
	o := &origin{}
	c := newTest(t, o, clock.New(), func(opts *Options[string, string]) {
		opts.MaxBytes, opts.Size = 1000, func(string, string) int64 { return size }
	})
	c.Get(background, "other")
	for _, size = range []int64{400, 500, 100, 600, -5} {
		c.Refresh(background, "k")
		if s := c.Stats(); s.Bytes != 400+max(0, size) || s.Entries != 2 || s.EvictedBytes != 0 {
			t.Errorf("size %d: Stats = %+v", size, s)
		}
	}
	size = 1001 // too large now: the cached value is out of date
	c.Refresh(background, "k")
	if _, ok := c.Peek("k"); ok {
		t.Error("the older value is still kept")
	}
}

// The mutated-result bug: a handler that filters a cached slice in place.
func TestClone(t *testing.T) {
	cats := func(context.Context, string) ([]string, error) { return []string{"Luna", "Pig", "Elise"}, nil }
	c := Must(New(Options[string, []string]{
		TTL: time.Hour, Load: cats, Clone: slices.Clone[[]string],
		LoadMany: func(ctx context.Context, keys []string) (map[string][]string, error) {
			v, err := cats(ctx, "")
			return map[string][]string{keys[0]: v}, err
		},
	}))
	want := []string{"Luna", "Pig", "Elise"}
	for name, get := range map[string]func() []string{
		"Get":     func() []string { v, _ := c.Get(background, "a"); return v },
		"Refresh": func() []string { v, _ := c.Refresh(background, "a"); return v },
		"Peek":    func() []string { v, _ := c.Peek("a"); return v },
		"GetMany": func() []string { r, _ := c.GetMany(background, []string{"b"}); return r[0].Value },
	} {
		c.Get(background, "a")
		for range 2 {
			v := get()
			if !slices.Equal(v, want) {
				t.Errorf("%s returned %v: an earlier caller has changed it", name, v)
			}
			clear(v)
		}
	}
}

func TestRefresh(t *testing.T) {
	o := &origin{}
	c := newTest(t, o, clock.New())
	wantGet(t, c, "k", "k v1")
	if v, err := c.Refresh(background, "k"); v != "k v2" || err != nil {
		t.Errorf("Refresh = %q, %v", v, err)
	}
	wantGet(t, c, "k", "k v2")
	o.err = errors.New("down")
	if _, err := c.Refresh(background, "k"); err != o.err {
		t.Errorf("Refresh = %v", err)
	}
	wantGet(t, c, "k", "k v2")
}

// A Refresh during a Load wins over it, whichever ends first.
func TestRefreshDuringALoad(t *testing.T) {
	for _, loadFirst := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			gates := []chan struct{}{make(chan struct{}), make(chan struct{})}
			var calls atomic.Int64
			c := newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
				o.Load = func(context.Context, string) (string, error) {
					n := calls.Add(1)
					<-gates[n-1]
					return fmt.Sprint("v", n), nil
				}
			})
			before := get(c, background)
			synctest.Wait()
			refreshed := make(chan string, 1)
			go func() {
				v, _ := c.Refresh(background, "k")
				refreshed <- v
			}()
			synctest.Wait()
			after := get(c, background)
			synctest.Wait()
			first, second := gates[0], gates[1]
			if !loadFirst {
				first, second = second, first
			}
			close(first)
			synctest.Wait()
			close(second)
			if a, b, d := <-before, <-refreshed, <-after; a != "v1 <nil>" || b != "v2" || d != "v2 <nil>" {
				t.Errorf("load first %v: got %q, %q, %q", loadFirst, a, b, d)
			}
			synctest.Wait()
			if v, _ := c.Peek("k"); v != "v2" {
				t.Errorf("load first %v: kept %q", loadFirst, v)
			}
		})
	}
}

func TestLoadOfItsOwnKey(t *testing.T) {
	var c *Cache[string, string]
	c = newTest(t, &origin{}, clock.New(), func(o *Options[string, string]) {
		o.StaleIfError = time.Hour
		o.Load = func(ctx context.Context, key string) (string, error) { return c.Get(ctx, key) }
	})
	_, err := c.Get(background, "k")
	if err == nil || !strings.Contains(err.Error(), "its own key") {
		t.Errorf("Get = %v", err)
	}
}

// batches is an origin of many keys.
type batches struct {
	mu    sync.Mutex
	asked [][]string
	err   error
	wait  chan struct{}
}

func (b *batches) load(_ context.Context, keys []string) (map[string]string, error) {
	b.mu.Lock()
	b.asked = append(b.asked, slices.Clone(keys))
	n, err, wait := len(b.asked), b.err, b.wait
	b.mu.Unlock()
	if wait != nil {
		<-wait
	}
	values := map[string]string{}
	for _, k := range keys {
		if !strings.HasPrefix(k, "no") {
			values[k] = fmt.Sprintf("%s b%d", k, n)
		}
	}
	clear(keys) // LoadMany may change the slice
	if err != nil {
		return nil, err
	}
	return values, nil
}

func wantMany(t *testing.T, c *Cache[string, string], keys string, want ...string) {
	t.Helper()
	got, err := c.GetMany(background, strings.Fields(keys))
	if err != nil {
		t.Errorf("GetMany(%s): %v", keys, err)
		return
	}
	for i, w := range want {
		if r := got[i]; r.Value != w || r.Found != (w != "") {
			t.Errorf("GetMany(%s)[%d] = %+v, want %q", keys, i, r, w)
		}
	}
}

func TestGetMany(t *testing.T) {
	o, b, clocks := &origin{}, &batches{}, clocktest.New()
	c := newTest(t, o, clocks.Clock(), func(opts *Options[string, string]) {
		opts.LoadMany, opts.MissingTTL = b.load, time.Second
	})
	wantGet(t, c, "a", "a v1")
	wantMany(t, c, "a b no1 c b", "a v1", "b b1", "", "c b1", "b b1")
	wantMany(t, c, "a b no1 c b", "a v1", "b b1", "", "c b1", "b b1")
	wantGet(t, c, "c", "c b1")
	if _, err := c.Get(background, "no1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of a key that LoadMany left out = %v", err)
	}
	clocks.Move(time.Second, 0)
	wantMany(t, c, "no1 d", "", "d b2")
	clocks.Move(time.Minute-time.Second, 0)
	wantMany(t, c, "a b", "a b3", "b b3")
	want := [][]string{{"b", "no1", "c"}, {"no1", "d"}, {"a", "b"}}
	if !reflect.DeepEqual(b.asked, want) {
		t.Errorf("called with %v, want %v", b.asked, want)
	}
	if r, err := c.GetMany(background, nil); r != nil || err != nil {
		t.Errorf("GetMany(nil) = %v, %v", r, err)
	}
}

func TestGetManyWithoutMissingTTL(t *testing.T) {
	b := &batches{}
	c := newTest(t, &origin{}, clock.New(), func(opts *Options[string, string]) { opts.LoadMany = b.load })
	wantMany(t, c, "no1 a", "", "a b1")
	wantMany(t, c, "no1 a", "", "a b1")
	if want := [][]string{{"no1", "a"}, {"no1"}}; !reflect.DeepEqual(b.asked, want) {
		t.Errorf("called with %v, want %v", b.asked, want)
	}
}

func TestGetManyWithoutLoadMany(t *testing.T) {
	o := &origin{}
	c := newTest(t, o, clock.New())
	wantMany(t, c, "a b a", "a v1", "b v2", "a v1")
	o.err = ErrNotFound
	wantMany(t, c, "a x", "a v1", "")
	o.err = errors.New("down")
	if _, err := c.GetMany(background, []string{"a", "y"}); err != o.err {
		t.Errorf("GetMany = %v", err)
	}
}

func TestGetManyAndGetShareLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b := &origin{wait: make(chan struct{})}, &batches{wait: make(chan struct{})}
		c := newTest(t, o, clock.New(), func(opts *Options[string, string]) { opts.LoadMany = b.load })
		single := get(c, background) // of "k"
		synctest.Wait()
		many := make(chan []Result[string], 2)
		for range 2 {
			go func() {
				r, err := c.GetMany(background, []string{"k", "a"})
				if err != nil {
					t.Error(err)
				}
				many <- r
			}()
			synctest.Wait()
		}
		close(b.wait)
		synctest.Wait()
		close(o.wait)
		<-single
		for range 2 {
			if r := <-many; r[0].Value != "k v1" || r[1].Value != "a b1" {
				t.Errorf("got %+v", r)
			}
		}
		if o.calls.Load() != 1 || len(b.asked) != 1 {
			t.Errorf("%d loads, called with %v", o.calls.Load(), b.asked)
		}
	})
}

func TestGetManyErrorsAndStale(t *testing.T) {
	b, clocks := &batches{}, clocktest.New()
	c := newTest(t, &origin{}, clocks.Clock(), func(opts *Options[string, string]) {
		opts.LoadMany, opts.StaleIfError = b.load, time.Minute
	})
	wantMany(t, c, "a b", "a b1", "b b1")
	clocks.Move(time.Minute, 0)
	b.err = errors.New("down")
	wantMany(t, c, "a b", "a b1", "b b1")
	if _, err := c.GetMany(background, []string{"a", "c"}); err != b.err {
		t.Errorf("GetMany with a key that was never kept = %v", err)
	}
	if s := c.Stats(); s.StaleServed < 2 || s.LoadErrors != 2 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestDeleteDuringLoadMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &batches{wait: make(chan struct{})}
		c := newTest(t, &origin{}, clock.New(), func(opts *Options[string, string]) { opts.LoadMany = b.load })
		done := make(chan struct{})
		go func() {
			defer close(done)
			wantMany(t, c, "a b", "a b1", "b b1")
		}()
		synctest.Wait()
		c.Delete("a")
		close(b.wait)
		<-done
		if _, ok := c.Peek("a"); ok {
			t.Error("a was kept")
		}
		if _, ok := c.Peek("b"); !ok {
			t.Error("b was not kept")
		}
	})
}

func TestStatsForLogs(t *testing.T) {
	clocks := clocktest.New()
	c := newTest(t, &origin{}, clocks.Clock())
	c.Get(background, "a")
	clocks.Move(90*time.Second, time.Second) // the machine was paused
	c.Get(background, "a")
	clocks.Move(time.Hour, time.Hour)
	c.Get(background, "a")
	if s := c.Stats(); s.LastFreeze != 89*time.Second {
		t.Errorf("LastFreeze = %v", s.LastFreeze)
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("done", "cache", c.Stats())
	for i := range reflect.TypeFor[Stats]().NumField() {
		name := strings.ToLower(strings.Join(words(reflect.TypeFor[Stats]().Field(i).Name), "_"))
		if !strings.Contains(b.String(), "cache."+name+"=") {
			t.Errorf("the log has no %s: %s", name, b.String())
		}
	}
}

// words splits a Go name at its capitals.
func words(name string) (w []string) {
	for i, r := range name {
		if i == 0 || r >= 'A' && r <= 'Z' {
			w = append(w, "")
		}
		w[len(w)-1] += string(r)
	}
	return w
}
