package filecache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/flight"
)

func readAll(ctx context.Context, f *File) (string, error) {
	b, err := io.ReadAll(f)
	return string(b), err
}

func wantValue(t *testing.T, v *Value[string], want string) {
	t.Helper()
	if got, err := v.Get(background); err != nil || got != want {
		t.Errorf("Get = %.10q, %v, want %.10q", got, err, want)
	}
}

func wantValueStats[T any](t *testing.T, v *Value[T], want ValueStats) {
	t.Helper()
	if got := v.Stats(); got != want {
		t.Errorf("Stats = %+v\n         want %+v", got, want)
	}
}

func TestValueIsParsedOncePerVersion(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
	o.put([]byte("one"))
	v := NewValue(c.Cache, o, readAll)
	for range 3 {
		wantValue(t, v, "one")
	}
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests, want one", n)
	}
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, "one")
	wantValue(t, v, "one")
	if len(o.asked) != 1 || o.asked[0].IfNoneMatch != o.etag {
		t.Errorf("requests were %+v, want one conditional request", o.asked)
	}
	o.put([]byte("two"))
	wantValue(t, v, "one") // within MaxAge
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, "two")
	wantValueStats(t, v, ValueStats{Hits: 4, Revalidated: 1, Parses: 2})
}

// A Get of a fresh value uses neither disk nor origin, and allocates nothing.
func TestValueHit(t *testing.T) {
	for name, o := range map[string]*origin{"fresh": newOrigin(100), "pinned": {name: "x", version: "1", body: []byte("x")}} {
		c := newTest(t, Options{MaxAge: time.Minute}, nil)
		v := NewValue(c.Cache, o, readAll)
		wantValue(t, v, string(o.body))
		if err := os.RemoveAll(c.root); err != nil {
			t.Fatal(err)
		}
		o.err = errOrigin
		if name == "pinned" {
			c.clocks.Move(time.Hour, time.Hour)
		}
		wantValue(t, v, string(o.body))
		if n := testing.AllocsPerRun(100, func() { v.Get(background) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if s := c.Stats(); s.Requests != 1 || s.Faults != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A value expires by either clock, like a copy.
func TestValueIsNeverOlderThanMaxAge(t *testing.T) {
	for _, step := range [][2]time.Duration{{time.Minute, 0}, {0, time.Minute}, {-time.Second, 0}} {
		c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
		o.put([]byte("one"))
		v := NewValue(c.Cache, o, readAll)
		wantValue(t, v, "one")
		o.put([]byte("two"))
		c.clocks.Move(step[0], step[1])
		wantValue(t, v, "two")
	}
}

// Age counts from the request, even if another caller or process sent it.
func TestValueIsAsOldAsItsCopy(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
	o.put([]byte("one"))
	c.want(o)
	c.clocks.Move(time.Minute-1, time.Minute-1)
	v, other := NewValue(c.Cache, o, readAll), NewValue(c.restart(nil).Cache, o, readAll)
	wantValue(t, v, "one")
	wantValue(t, other, "one")
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests, want one for both processes", n)
	}
	o.put([]byte("two"))
	c.clocks.Move(1, 1)
	wantValue(t, v, "two")
	wantValue(t, other, "two")
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests, want one for both processes", n)
	}
}

func TestValueWithoutMaxAgeAsksEveryTime(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(0)
	o.put([]byte("one"))
	v := NewValue(c.Cache, o, readAll)
	wantValue(t, v, "one")
	wantValue(t, v, "one")
	o.put([]byte("two"))
	wantValue(t, v, "two")
	if n := o.requests(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	wantValueStats(t, v, ValueStats{Revalidated: 1, Parses: 2})
}

func TestValueWithoutADisk(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, &faultyDisk{from: 1}), newOrigin(0)
	o.put([]byte("one"))
	v := NewValue(c.Cache, o, readAll)
	wantValue(t, v, "one")
	wantValue(t, v, "one")
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, "one")
	wantValueStats(t, v, ValueStats{Hits: 1, Revalidated: 1, Parses: 1})
}

// Corrupt bytes of a copy are not parsed, and later damage does not change the value.
func TestValueAndDamage(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(largeSize)
	c.want(o)
	damage := func() {
		path := c.only(c.dataFiles())
		os.Chmod(path, 0o600)
		if err := os.WriteFile(path, make([]byte, largeSize), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage()
	v := NewValue(c.restart(nil).Cache, o, readAll)
	wantValue(t, v, string(o.body))
	c = c.restart(nil)
	c.want(o)
	damage()
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, string(o.body))
	wantValueStats(t, v, ValueStats{Parses: 1, Revalidated: 1})
}

func TestForgottenValueIsParsedAnew(t *testing.T) {
	c, o, other := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100), newOrigin(100)
	other.name = "other"
	v := NewValue(c.Cache, o, readAll)
	wantValue(t, v, string(o.body))
	c.Forget(other)
	wantValue(t, v, string(o.body))
	wantValueStats(t, v, ValueStats{Hits: 1, Parses: 1})
	for i, forget := range []func(){func() { c.Forget(o) }, c.Clear} {
		forget() // the origin still has the same version
		wantValue(t, v, string(o.body))
		wantValueStats(t, v, ValueStats{Hits: 1, Parses: int64(i) + 2})
	}
}

func TestManyForgets(t *testing.T) {
	c, o, other := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0), newOrigin(0)
	v := NewValue(c.Cache, o, func(ctx context.Context, f *File) (int, error) { return o.requests(), nil })
	if n, _ := v.Get(background); n != 1 {
		t.Fatalf("%d requests", n)
	}
	c.Forget(o)
	for i := range maxForgets + 1 {
		other.name = strings.Repeat("x", i+1)
		c.Forget(other)
	}
	if n, _ := v.Get(background); n != 1 {
		t.Errorf("%d requests after Forget, want one", n)
	}
	if n := len(c.forgets.keys); n > maxForgets {
		t.Errorf("%d keys, want at most %d", n, maxForgets)
	}
}

// gate is a Parse that signals its start and waits for permission to continue.
type gate struct {
	began, goOn chan struct{}
}

func newGate() *gate { return &gate{make(chan struct{}), make(chan struct{})} }

func (g *gate) parse(ctx context.Context, f *File) (string, error) {
	g.began <- struct{}{}
	select {
	case <-g.goOn:
		return readAll(ctx, f)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func TestGetsShareAParse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o, g := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100), newGate()
		v := NewValue(c.Cache, o, g.parse)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { wantValue(t, v, string(o.body)) })
		}
		<-g.began
		synctest.Wait()
		ctx, cancel := context.WithCancel(background)
		left := make(chan error)
		go func() {
			_, err := v.Get(ctx)
			left <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("a canceled caller got %v", err)
		}
		close(g.goOn)
		wg.Wait()
		if s := v.Stats(); s.Parses != 1 || s.Joins != 10 {
			t.Errorf("Stats = %+v, want one Parse for all", s)
		}
	})
}

// A Parse that an earlier invocation abandoned is canceled and not joined. If it still
// returns a value, the value is closed.
func TestAbandonedParse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
		began, canceled, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var parses, closed atomic.Int64
		v := NewValueWith(c.Cache, o, ValueOptions[int64]{
			Parse: func(ctx context.Context, f *File) (int64, error) {
				n := parses.Add(1)
				if n == 1 {
					close(began)
					<-ctx.Done()
					close(canceled)
					<-goOn
				}
				return n, nil
			},
			Close: func(n int64) error { closed.Add(n); return nil },
		})
		ctx, cancel := context.WithCancel(background)
		left := make(chan error)
		go func() {
			_, _, err := v.Acquire(ctx)
			left <- err
		}()
		<-began
		cancel()
		<-left
		<-canceled
		n, release, err := v.Acquire(background)
		if n != 2 || err != nil {
			t.Errorf("Acquire = %d, %v, want a second Parse", n, err)
		}
		defer release()
		close(goOn)
		synctest.Wait()
		if n := closed.Load(); n != 1 {
			t.Errorf("closed %d, want the first", n)
		}
		if n, release, _ := v.Acquire(background); n != 2 {
			t.Errorf("the abandoned value %d became current", n)
		} else {
			release()
		}
	})
}

func TestPanicOfParseReachesTheCallers(t *testing.T) {
	for _, how := range []func(){func() { panic("poison") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
			began, goOn := make(chan struct{}, 1), make(chan struct{})
			v := NewValue(c.Cache, o, func(ctx context.Context, f *File) (string, error) {
				select {
				case <-goOn:
					return readAll(ctx, f)
				default:
				}
				began <- struct{}{}
				<-goOn
				how()
				return "", nil
			})
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			var wg sync.WaitGroup
			var panics, returned atomic.Int64
			for range 3 {
				wg.Go(func() {
					defer func() {
						if _, ok := recover().(*flight.PanicError); ok {
							panics.Add(1)
						}
					}()
					v.Get(ctx)
					returned.Add(1)
				})
			}
			<-began
			synctest.Wait()
			close(goOn)
			wg.Wait()
			if n := returned.Load(); n > 0 {
				t.Errorf("%d of 3 callers returned", n)
			}
			wantValue(t, v, string(o.body))
			if s := v.Stats(); s.Failures != 1 || s.Parses != 2 {
				t.Errorf("Stats = %+v", s)
			}
			if n := c.usage().Files; n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
	}
}

// After Forget has returned, no Get returns a value parsed from bytes fetched before,
// not even a Get that starts while those are parsed.
func TestForgetDuringAParse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o, g := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0), newGate()
		o.put([]byte("one"))
		v := NewValue(c.Cache, o, g.parse)
		done := make(chan struct{})
		go func() {
			wantValue(t, v, "one") // began before
			close(done)
		}()
		<-g.began
		o.put([]byte("two"))
		c.Forget(o)
		later := make(chan struct{})
		go func() {
			wantValue(t, v, "two")
			close(later)
		}()
		<-g.began // it does not wait for the first
		g.goOn <- struct{}{}
		g.goOn <- struct{}{}
		<-done
		<-later
		wantValue(t, v, "two")
	})
}

func TestParseErrors(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
	errSyntax := errors.New("syntax")
	v := NewValue(c.Cache, o, func(ctx context.Context, f *File) (string, error) {
		s, err := readAll(ctx, f)
		if s == "bad" {
			err = errSyntax
		}
		return s, err
	})
	o.put([]byte("good"))
	wantValue(t, v, "good")
	o.put([]byte("bad"))
	c.clocks.Move(time.Minute, time.Minute)
	for range 2 { // errors are not cached
		if _, err := v.Get(background); err != errSyntax {
			t.Errorf("Get = %v, want Parse's own error", err)
		}
	}
	o.put([]byte("better"))
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, "better")
	wantValueStats(t, v, ValueStats{Parses: 4, Failures: 2})
	o.mu.Lock()
	o.err = fs.ErrNotExist
	o.mu.Unlock()
	c.clocks.Move(time.Minute, time.Minute)
	var pe *fs.PathError
	if _, err := v.Get(background); !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pe) {
		t.Errorf("Get = %v, want Open's error", err)
	}
	if v.current.Load() != nil {
		t.Error("the value is kept though the object was deleted")
	}
}

func TestStaleIfInvalid(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
	v := NewValueWith(c.Cache, o, ValueOptions[string]{
		Parse: func(ctx context.Context, f *File) (string, error) {
			s, err := readAll(ctx, f)
			if s == "bad" {
				err = errors.New("syntax")
			}
			return s, err
		},
		StaleIfInvalid: 2 * time.Minute,
	})
	o.put([]byte("bad"))
	if _, err := v.Get(background); err == nil {
		t.Error("no error though no version could ever be parsed")
	}
	o.put([]byte("good"))
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, "good")
	o.put([]byte("bad"))
	for range 2 { // up to 3 minutes after the good version was current
		c.clocks.Move(time.Minute, time.Minute)
		wantValue(t, v, "good")
		wantValue(t, v, "good") // does not parse
	}
	wantValueStats(t, v, ValueStats{Parses: 4, Failures: 3, InvalidServed: 4})
	c.clocks.Move(time.Minute-1, time.Minute-1)
	wantValue(t, v, "good")
	c.clocks.Move(1, 1)
	if s, err := v.Get(background); err == nil {
		t.Errorf("Get = %q, past StaleIfInvalid", s)
	}
	o.put([]byte("good"))
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, "good")
	o.put([]byte("bad"))
	c.clocks.Move(time.Minute, time.Minute)
	wantValue(t, v, "good")
	c.Forget(o)
	if s, err := v.Get(background); err == nil {
		t.Errorf("Get = %q after Forget", s)
	}
}

func TestStaleValues(t *testing.T) {
	for _, copies := range []bool{true, false} { // whether there is a copy to open
		c, o := newTest(t, Options{MaxAge: time.Minute, StaleIfError: time.Minute}, nil), newOrigin(100)
		v := NewValue(c.Cache, o, readAll)
		wantValue(t, v, string(o.body))
		o.err = errOrigin
		if !copies {
			os.RemoveAll(c.root)
			c.store.TestUnknow(storeKey(o))
		}
		c.clocks.Move(time.Minute, time.Minute)
		wantValue(t, v, string(o.body))
		wantValue(t, v, string(o.body))
		s := v.Stats()
		if s.StaleServed != 2 || s.Hits != 0 || s.Parses != 1 {
			t.Errorf("Stats = %+v", s)
		}
		c.clocks.Move(time.Minute, time.Minute)
		if _, err := v.Get(background); !errors.Is(err, errOrigin) {
			t.Errorf("Get = %v, past StaleIfError", err)
		}
		o.err = nil
		wantValue(t, v, string(o.body))
	}
}

func TestForgottenValuesAreNotServedStale(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute, StaleIfError: time.Hour}, nil), newOrigin(100)
	v := NewValue(c.Cache, o, readAll)
	wantValue(t, v, string(o.body))
	c.Forget(o)
	o.err = errOrigin
	if _, err := v.Get(background); !errors.Is(err, errOrigin) {
		t.Errorf("Get = %v", err)
	}
}

// Callers that wait together for a failing origin send it one request.
func TestStaleValuesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, o := newTest(t, Options{StaleIfError: time.Hour}, nil), newOrigin(100)
		v := NewValue(c.Cache, o, readAll)
		wantValue(t, v, string(o.body))
		o.requests()
		o.err, o.wait = errOrigin, make(chan struct{})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { wantValue(t, v, string(o.body)) })
		}
		synctest.Wait()
		close(o.wait)
		wg.Wait()
		if n := o.requests(); n != 1 {
			t.Errorf("%d requests, want one", n)
		}
	})
}

func TestMisusedValues(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(10)
	closed := NewValue(c.Cache, o, readAll)
	closed.Close()
	for name, v := range map[string]*Value[string]{
		"zero":          {},
		"no Cache":      NewValue(nil, o, readAll),
		"nil Object":    NewValue(c.Cache, nil, readAll),
		"nil Parse":     NewValue[string](c.Cache, o, nil),
		"negative":      NewValueWith(c.Cache, o, ValueOptions[string]{Parse: readAll, StaleIfInvalid: -1}),
		"invalid ID":    NewValue(c.Cache, &origin{}, readAll),
		"closed":        closed,
		"Get for Close": NewValueWith(c.Cache, o, ValueOptions[string]{Parse: readAll, Close: func(string) error { return nil }}),
	} {
		if _, err := v.Get(background); err == nil || !strings.HasPrefix(err.Error(), "filecache.Value.Get: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	v := NewValue(c.Cache, o, readAll)
	wantValue(t, v, string(o.body))
	c.Close()
	if _, err := v.Get(background); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Get after Close of the Cache: %v", err)
	}
}

func TestParseThatNeedsItself(t *testing.T) {
	c, o := newTest(t, Options{}, nil), newOrigin(10)
	var v *Value[string]
	v = NewValue(c.Cache, o, func(ctx context.Context, f *File) (string, error) { return v.Get(ctx) })
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	if _, err := v.Get(ctx); !errors.Is(err, flight.ErrOwnKey) {
		t.Errorf("Get = %v", err)
	}
}

// resource must be closed once, and not be used afterwards.
type resource struct {
	t      *testing.T
	body   string
	closed atomic.Bool
}

func (r *resource) Close() error {
	if r.closed.Swap(true) {
		r.t.Errorf("%.10q is closed twice", r.body)
	}
	return errors.New("counted")
}

func (r *resource) use() {
	if r.closed.Load() {
		r.t.Errorf("%.10q is used after it was closed", r.body)
	}
}

func newResources(t *testing.T, c *Cache, obj Object, opened func(*resource)) *Value[*resource] {
	return NewValueWith(c, obj, ValueOptions[*resource]{
		Parse: func(ctx context.Context, f *File) (*resource, error) {
			s, err := readAll(ctx, f)
			if err != nil {
				return nil, err
			}
			r := &resource{t: t, body: s}
			opened(r)
			return r, nil
		},
		Close: (*resource).Close,
	})
}

func TestReplacedValuesAreClosedAfterTheirLastUse(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(0)
	v := newResources(t, c.Cache, o, func(*resource) {})
	acquire := func() (*resource, func()) {
		r, release, err := v.Acquire(background)
		if err != nil {
			t.Fatal(err)
		}
		return r, release
	}
	o.put([]byte("one"))
	one, release1 := acquire()
	again, release2 := acquire()
	if one != again {
		t.Error("two values of one version")
	}
	release1()
	release1() // counts once
	o.put([]byte("two"))
	c.clocks.Move(time.Minute, time.Minute)
	two, release3 := acquire()
	one.use()
	release2()
	if !one.closed.Load() {
		t.Error("the replaced value is not closed")
	}
	release3()
	c.clocks.Move(time.Minute, time.Minute)
	same, release4 := acquire() // revalidated
	if same != two {
		t.Error("parsed again")
	}
	release4()
	two.use()
	o.err = fs.ErrNotExist
	c.clocks.Move(time.Minute, time.Minute)
	if _, _, err := v.Acquire(background); !errors.Is(err, fs.ErrNotExist) || !two.closed.Load() {
		t.Errorf("Acquire = %v, closed: %v", err, two.closed.Load())
	}
	o.err = nil
	three, release5 := acquire()
	v.Close()
	three.use()
	release5()
	if !three.closed.Load() {
		t.Error("not closed by Close")
	}
	if s := v.Stats(); s.CloseErrors != 3 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestAcquireOfAPlainValue(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(10)
	v := NewValue(c.Cache, o, readAll)
	for range 2 {
		s, release, err := v.Acquire(background)
		if s != string(o.body) || err != nil {
			t.Errorf("Acquire = %q, %v", s, err)
		}
		release()
	}
}
