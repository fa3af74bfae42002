package flight

import (
	"context"
	"errors"
	"runtime"
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

type result struct {
	v      int
	joined bool
	err    error
	caught any  // the panic value of Do
	exited bool // Do called runtime.Goexit
}

// start calls Do in a new goroutine and returns the channel of its result.
func start(ctx context.Context, g *Group[int], load func(context.Context, *Call[int]) (int, error)) <-chan result {
	ch := make(chan result, 1)
	go func() {
		r := result{exited: true}
		defer func() {
			if r.caught = recover(); r.caught != nil {
				r.exited = false
			}
			ch <- r
		}()
		r.v, r.joined, r.err = g.Do(ctx, Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute}, Load: load})
		r.exited = false
	}()
	return ch
}

// A gate is a load that waits until it is opened.
type gate struct {
	calls atomic.Int64
	open  chan struct{}
	ctx   context.Context // of the last load
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

// load counts itself, waits, and returns its number.
func (l *gate) load(ctx context.Context, _ *Call[int]) (int, error) {
	n := l.calls.Add(1)
	l.ctx = ctx
	<-l.open
	return int(n), nil
}

// Each rule holds for a first caller that can leave (its load runs in another
// goroutine) and for one that cannot (it runs in the caller's own).
func eachFirstCaller(t *testing.T, test func(t *testing.T, first context.Context)) {
	t.Run("cancellable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			test(t, ctx)
		})
	})
	t.Run("uncancellable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, context.Background()) })
	})
}

func TestHundredCallersOneLoad(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, l := NewGroup[int](clock.New()), newGate()
		chans := []<-chan result{start(ctx, g, l.load)}
		synctest.Wait()
		for range 99 {
			chans = append(chans, start(ctx, g, l.load))
		}
		synctest.Wait()
		close(l.open)
		for i, ch := range chans {
			if r := <-ch; r.v != 1 || r.err != nil || r.joined != (i > 0) {
				t.Errorf("caller %d got %+v", i, r)
			}
		}
		if n := l.calls.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
	})
}

func TestEndedFlightIsNotJoined(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, l := NewGroup[int](clock.New()), newGate()
		close(l.open)
		for want := 1; want <= 3; want++ {
			if r := <-start(ctx, g, l.load); r.v != want || r.joined {
				t.Errorf("got %+v, want load %d", r, want)
			}
		}
	})
}

func TestCallerLeavesWhenItsContextEnds(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, l := NewGroup[int](clock.New()), newGate()
		first := start(ctx, g, l.load)
		synctest.Wait()
		short, cancel := context.WithCancel(context.Background())
		second := start(short, g, l.load)
		synctest.Wait()
		cancel()
		if r := <-second; !errors.Is(r.err, context.Canceled) {
			t.Errorf("second caller got %+v", r)
		}
		close(l.open)
		if r := <-first; r.v != 1 || r.err != nil {
			t.Errorf("first caller got %+v", r)
		}
	})
}

func TestFirstCallersCancelFailsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := NewGroup[int](clock.New()), newGate()
		ctx, cancel := context.WithCancel(context.Background())
		first := start(ctx, g, l.load)
		synctest.Wait()
		second := start(context.Background(), g, l.load)
		synctest.Wait()
		cancel()
		if r := <-first; !errors.Is(r.err, context.Canceled) {
			t.Errorf("first caller got %+v", r)
		}
		if err := l.ctx.Err(); err != nil {
			t.Errorf("the load's context ended with the first caller's: %v", err)
		}
		close(l.open)
		if r := <-second; r.v != 1 || r.err != nil {
			t.Errorf("second caller got %+v", r)
		}
	})
}

func TestAbandonedLoadIsCancelledAndNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := NewGroup[int](clock.New()), newGate()
		var abandoned *Call[int]
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		first := start(ctx, g, func(ctx context.Context, f *Call[int]) (int, error) {
			abandoned = f
			return l.load(ctx, f) // ignores its context
		})
		if r := <-first; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("first caller got %+v", r)
		}
		synctest.Wait()
		if l.ctx.Err() == nil {
			t.Error("the abandoned load was not cancelled")
		}
		if !abandoned.Revoked() {
			t.Error("the abandoned flight may still keep its result")
		}
		second := start(context.Background(), g, l.load)
		synctest.Wait()
		if n := l.calls.Load(); n != 2 {
			t.Errorf("%d loads, want a second one", n)
		}
		close(l.open)
		if r := <-second; r.v != 2 || r.joined {
			t.Errorf("second caller got %+v", r)
		}
	})
}

func TestInvalidatedFlightIsNotJoined(t *testing.T) {
	for name, invalidate := range map[string]func(*Group[int]){
		"Invalidate":    func(g *Group[int]) { g.Invalidate("key") },
		"InvalidateAll": func(g *Group[int]) { g.InvalidateAll() },
	} {
		t.Run(name, func(t *testing.T) {
			eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
				g, l := NewGroup[int](clock.New()), newGate()
				var flights [2]*Call[int]
				load := func(i int) func(context.Context, *Call[int]) (int, error) {
					return func(ctx context.Context, f *Call[int]) (int, error) {
						flights[i] = f
						return l.load(ctx, f)
					}
				}
				first := start(ctx, g, load(0))
				synctest.Wait()
				invalidate(g)
				second := start(ctx, g, load(1))
				synctest.Wait()
				third := start(ctx, g, load(1))
				synctest.Wait()
				if !flights[0].Revoked() || flights[1].Revoked() {
					t.Error("the first flight should be abandoned, the second not")
				}
				close(l.open)
				r1, r2, r3 := <-first, <-second, <-third
				if r1.v != 1 || r2.v != 2 || r2.joined || r3.v != 2 || !r3.joined {
					t.Errorf("got %+v, %+v, %+v", r1, r2, r3)
				}
			})
		})
	}
}

// A late flight must not remove its successor from the Group.
func TestLateFlightLeavesItsSuccessorAlone(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, old, young := NewGroup[int](clock.New()), newGate(), newGate()
		first := start(ctx, g, old.load)
		synctest.Wait()
		g.Invalidate("key")
		second := start(ctx, g, young.load)
		synctest.Wait()
		close(old.open)
		<-first
		third := start(ctx, g, young.load)
		synctest.Wait()
		close(young.open)
		if r := <-third; !r.joined || r.v != 1 {
			t.Errorf("third caller got %+v, want to join the second", r)
		}
		<-second
	})
}

func TestOldFlightIsNotJoined(t *testing.T) {
	for name, move := range map[string]func(*clocktest.Clocks){
		"wall":      func(c *clocktest.Clocks) { c.Move(time.Minute, 0) },
		"monotonic": func(c *clocktest.Clocks) { c.Move(0, time.Minute) },
		"wall back": func(c *clocktest.Clocks) { c.Move(-time.Hour, time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
				clocks, l := clocktest.New(), newGate()
				g := NewGroup[int](clocks.Clock())
				first := start(ctx, g, l.load)
				synctest.Wait()
				move(clocks)
				second := start(ctx, g, l.load)
				synctest.Wait()
				close(l.open)
				if r := <-second; r.joined || r.v != 2 {
					t.Errorf("second caller got %+v, want a load of its own", r)
				}
				<-first
			})
		})
	}
}

// The machine was paused in the middle of an invocation: its deadline has passed long
// ago, but no timer has run yet.
func TestFlightOfAFrozenInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		deadline := time.Unix(0, clocks.Now().Wall).Add(3 * time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		first := start(untimed{ctx, deadline}, g, l.load)
		synctest.Wait()

		clocks.Move(10*time.Second, 0)
		second := start(context.Background(), g, l.load)
		synctest.Wait()
		close(l.open)
		if r := <-second; r.joined || r.v != 2 {
			t.Errorf("next invocation got %+v, want a load of its own", r)
		}
		if r := <-first; !errors.Is(r.err, context.DeadlineExceeded) {
			t.Errorf("the frozen invocation got %+v, want %v", r, context.DeadlineExceeded)
		}
	})
}

// untimed is a context whose deadline no timer watches, as after a thaw.
type untimed struct {
	context.Context
	deadline time.Time
}

func (u untimed) Deadline() (time.Time, bool) { return u.deadline, true }

// While one waiter has time left, its flight is alive.
func TestFlightWithALiveWaiterIsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		at := func(d time.Duration) context.Context {
			return untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(d)}
		}
		first := start(at(3*time.Second), g, l.load)
		synctest.Wait()
		second := start(at(30*time.Second), g, l.load)
		synctest.Wait()
		clocks.Move(10*time.Second, 0)
		third := start(at(3*time.Second), g, l.load)
		synctest.Wait()
		close(l.open)
		if r := <-third; !r.joined || r.v != 1 {
			t.Errorf("third caller got %+v, want to join", r)
		}
		<-first
		<-second
	})
}

func TestPanicReachesEveryCaller(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, open, cause := NewGroup[int](clock.New()), make(chan struct{}), errors.New("boom")
		explode := func(context.Context, *Call[int]) (int, error) { <-open; panic(cause) }
		first := start(ctx, g, explode)
		synctest.Wait()
		second := start(ctx, g, explode)
		synctest.Wait()
		close(open)
		for _, ch := range []<-chan result{first, second} {
			r := <-ch
			p, ok := r.caught.(*PanicError)
			if !ok {
				t.Fatalf("caller got %+v, want a panic with *PanicError", r)
			}
			if !errors.Is(p, cause) || p.Value != cause {
				t.Errorf("panic value is %v", p.Value)
			}
			if !strings.Contains(string(p.Stack), "TestPanicReachesEveryCaller") {
				t.Errorf("the stack is not the load's:\n%s", p.Stack)
			}
		}
		if r := <-start(ctx, g, func(context.Context, *Call[int]) (int, error) { return 7, nil }); r.v != 7 {
			t.Errorf("after the panic: %+v", r)
		}
	})
}

func TestGoexitReachesEveryCaller(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, open := NewGroup[int](clock.New()), make(chan struct{})
		exit := func(context.Context, *Call[int]) (int, error) { <-open; runtime.Goexit(); return 0, nil }
		first := start(ctx, g, exit)
		synctest.Wait()
		second := start(ctx, g, exit)
		synctest.Wait()
		close(open)
		for _, ch := range []<-chan result{first, second} {
			if r := <-ch; !r.exited {
				t.Errorf("caller got %+v, want runtime.Goexit", r)
			}
		}
		if r := <-start(ctx, g, func(context.Context, *Call[int]) (int, error) { return 7, nil }); r.v != 7 {
			t.Errorf("after the Goexit: %+v", r)
		}
	})
}

func TestLoadKeepsTheFirstCallersValues(t *testing.T) {
	type traceID struct{}
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g := NewGroup[int](clock.New())
		ctx = context.WithValue(ctx, traceID{}, 42)
		r := <-start(ctx, g, func(ctx context.Context, _ *Call[int]) (int, error) {
			return ctx.Value(traceID{}).(int), nil
		})
		if r.v != 42 {
			t.Errorf("got %+v", r)
		}
	})
}

// A load that requests its own key would wait for itself forever, also through another key.
func TestLoadThatGetsItsOwnKey(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g := NewGroup[int](clock.New())
		ask := func(ctx context.Context, key string, load func(context.Context, *Call[int]) (int, error)) (int, error) {
			v, _, err := g.Do(ctx, Request[int]{Key: key, Terms: Terms{MaxAge: time.Minute}, Load: load})
			return v, err
		}
		_, err := ask(ctx, "a", func(ctx context.Context, _ *Call[int]) (int, error) {
			return ask(ctx, "b", func(ctx context.Context, _ *Call[int]) (int, error) {
				ctx, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				return ask(ctx, "a", nil)
			})
		})
		if !errors.Is(err, ErrOwnKey) {
			t.Errorf("got %v, want %v", err, ErrOwnKey)
		}
	})
}

func TestTimeoutOfTheLoad(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, l := NewGroup[int](clock.New()), newGate()
		began := time.Now()
		do := func() <-chan error {
			ch := make(chan error, 1)
			go func() {
				_, _, err := g.Do(ctx, Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute, Timeout: 2 * time.Second}, Load: l.load})
				ch <- err
			}()
			return ch
		}
		first := do()
		time.Sleep(time.Second)
		second := do() // joins: the time counts from the start of the load
		for _, ch := range []<-chan error{first, second} {
			if err := <-ch; err != ErrTimeout || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want %v", err, ErrTimeout)
			}
		}
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("it took %v", d)
		}
		if n := l.calls.Load(); n != 1 {
			t.Errorf("%d loads", n)
		}
		synctest.Wait()
		if l.ctx.Err() == nil {
			t.Error("the load's context has not ended")
		}
		third := do()
		synctest.Wait()
		close(l.open)
		if err := <-third; err != nil || l.calls.Load() != 2 {
			t.Errorf("the next caller got %v after %d loads", err, l.calls.Load())
		}
	})
}

// A load with Queue begins when the current one has ended.
func TestQueue(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, old, young := NewGroup[int](clock.New()), newGate(), newGate()
		first := start(ctx, g, old.load)
		synctest.Wait()
		second := make(chan int, 1)
		go func() {
			v, joined, err := g.Do(ctx, Request[int]{Key: "key", Terms: Terms{Queue: true}, Load: func(ctx context.Context, s *Call[int]) (int, error) {
				young.load(ctx, s)
				return 7, nil
			}})
			if joined || err != nil {
				t.Errorf("joined %v, %v", joined, err)
			}
			second <- v
		}()
		synctest.Wait()
		third := start(ctx, g, old.load)
		synctest.Wait()
		close(old.open)
		close(young.open)
		if v := <-second; v != 7 {
			t.Errorf("got %d", v)
		}
		if r := <-third; r.v != 7 || !r.joined {
			t.Errorf("a later caller got %+v", r)
		}
		if r := <-first; r.v != 1 {
			t.Errorf("the first caller got %+v", r)
		}
	})
}

func TestEndedContextStartsNothing(t *testing.T) {
	g, l := NewGroup[int](clock.New()), newGate()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := <-start(ctx, g, l.load); !errors.Is(r.err, context.Canceled) || l.calls.Load() != 0 {
		t.Errorf("got %+v after %d loads", r, l.calls.Load())
	}
}

// The clock is read under the lock. Otherwise a flight that starts between a caller's
// reading and its lookup seems to come from the future, as if the clock had run back,
// and a second load is made.
func TestClockIsReadUnderTheLock(t *testing.T) {
	var g *Group[int]
	g = NewGroup[int](clock.NewFake(func() clock.Instant {
		if g.mu.TryLock() {
			g.mu.Unlock()
			t.Error("the lock is not held")
		}
		return clock.Instant{Wall: 1}
	}))
	g.Do(context.Background(), Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute}, Load: func(context.Context, *Call[int]) (int, error) { return 1, nil }})
}

// For the race detector: no caller hangs, and every value is the result of a load.
func TestStress(t *testing.T) {
	g := NewGroup[int](clock.New())
	var loads atomic.Int64
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				ctx, cancel := context.Background(), context.CancelFunc(func() {})
				switch (worker + i) % 4 {
				case 0:
					ctx, cancel = context.WithCancel(ctx)
				case 1:
					ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Microsecond)
				case 2:
					g.Invalidate("key")
				}
				v, _, err := g.Do(ctx, Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute}, Load: func(context.Context, *Call[int]) (int, error) {
					runtime.Gosched()
					return int(loads.Add(1)), nil
				}})
				if err == nil && (v < 1 || int64(v) > loads.Load()) {
					t.Errorf("got %d", v)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	// Loads without callers end by themselves.
	for deadline := time.Now().Add(2 * time.Minute); ; runtime.Gosched() {
		g.mu.Lock()
		n := len(g.lines)
		g.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d flights left", n)
		}
	}
}

// LatestDeadline returns the latest deadline of the load's callers.
func TestLatest(t *testing.T) {
	g := NewGroup[int](clock.New())
	soon, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	later, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
	defer cancel()
	var call *Call[int]
	started, finish := make(chan bool), make(chan bool)
	request := Request[int]{Key: "k", Terms: Terms{MaxAge: time.Hour}, Load: func(_ context.Context, s *Call[int]) (int, error) {
		call = s
		close(started)
		<-finish
		return 1, nil
	}}
	want := func(ctx context.Context) {
		t.Helper()
		wantAt, wantSet := ctx.Deadline()
		if at, set := call.LatestDeadline(); set != wantSet || !at.Equal(wantAt) {
			t.Errorf("Latest = %v, %v; want %v, %v", at, set, wantAt, wantSet)
		}
	}
	waiting := func(n int) {
		for {
			g.mu.Lock()
			ready := len(call.flight.waiters) == n
			g.mu.Unlock()
			if ready {
				return
			}
			runtime.Gosched()
		}
	}
	done := make(chan bool)
	do := func(ctx context.Context) { g.Do(ctx, request); done <- true }
	go do(soon)
	<-started
	want(soon)
	go do(later)
	waiting(2)
	want(later)
	go do(t.Context())
	waiting(3)
	want(t.Context())
	close(finish)
	for range 3 {
		<-done
	}
}
