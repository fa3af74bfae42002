package flight

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// A flight that is replaced because it is too old is revoked: its late result does not
// replace that of its successor.
func TestReplacedFlightIsRevoked(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		var old *Call[int]
		first := start(ctx, g, func(ctx context.Context, f *Call[int]) (int, error) { old = f; return l.load(ctx, f) })
		synctest.Wait()
		clocks.Move(time.Minute, time.Minute)
		second := start(ctx, g, l.load)
		synctest.Wait()
		if !old.Revoked() {
			t.Error("the replaced flight may still keep its result")
		}
		close(l.open)
		<-first
		<-second
	})
}

// The first flight is abandoned by a cancel, and has no deadline.
func TestCancelledFlightIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := NewGroup[int](clock.New()), newGate()
		ctx, cancel := context.WithCancel(context.Background())
		var old *Call[int]
		first := start(ctx, g, func(ctx context.Context, f *Call[int]) (int, error) { old = f; return l.load(ctx, f) })
		synctest.Wait()
		cancel()
		<-first
		if !old.Revoked() {
			t.Error("not revoked")
		}
		second := start(context.Background(), g, l.load)
		synctest.Wait()
		close(l.open)
		if r := <-second; r.joined || r.err != nil {
			t.Errorf("second caller got %+v, want a load of its own", r)
		}
	})
}

// An invalidated flight whose last waiter leaves does not affect its successor, and is
// canceled.
func TestInvalidatedFlightLeavesItsSuccessorAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, old, young := NewGroup[int](clock.New()), newGate(), newGate()
		ctx, cancel := context.WithCancel(context.Background())
		first := start(ctx, g, old.load)
		synctest.Wait()
		g.Invalidate("key")
		second := start(context.Background(), g, young.load)
		synctest.Wait()
		cancel()
		<-first
		if old.ctx.Err() == nil {
			t.Error("the abandoned load was not cancelled")
		}
		third := start(context.Background(), g, young.load)
		synctest.Wait()
		close(old.open)
		close(young.open)
		if r := <-third; !r.joined {
			t.Errorf("third caller got %+v, want to join the second", r)
		}
		<-second
	})
}

// A waiter without a deadline that has left does not count.
func TestEndlessWaiterThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		endless, leave := context.WithCancel(context.Background())
		first := start(endless, g, l.load)
		synctest.Wait()
		second := start(untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(3 * time.Second)}, g, l.load)
		synctest.Wait()
		leave()
		<-first
		clocks.Move(10*time.Second, 0)
		third := start(context.Background(), g, l.load)
		synctest.Wait()
		close(l.open)
		if r := <-third; r.joined {
			t.Errorf("third caller got %+v", r)
		}
		<-second
	})
}

// The latest deadline counts, not that of the last waiter.
func TestLatestDeadlineCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		at := func(d time.Duration) context.Context {
			return untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(d)}
		}
		first := start(at(30*time.Second), g, l.load)
		synctest.Wait()
		second := start(at(3*time.Second), g, l.load)
		synctest.Wait()
		clocks.Move(10*time.Second, 0)
		third := start(at(3*time.Second), g, l.load)
		synctest.Wait()
		close(l.open)
		if r := <-third; !r.joined {
			t.Errorf("third caller got %+v, want to join", r)
		}
		<-first
		<-second
	})
}

// Goroutines that the load started under its context end with it.
func TestContextOfAnEndedLoad(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var inner context.Context
	NewGroup[int](clock.New()).Do(ctx, Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute}, Load: func(ctx context.Context, _ *Call[int]) (int, error) {
		inner = ctx
		return 1, nil
	}})
	select {
	case <-inner.Done():
	case <-time.After(time.Minute):
		t.Error("the context of a load that returned is still alive")
	}
}

// The deadlines of waiters that have left do not count.
func TestDeadlineOfAWaiterThatLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ctx2, cancel2 := context.WithCancel(context.Background())
		at := func(ctx context.Context, d time.Duration) context.Context {
			return untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(d)}
		}
		first := start(at(ctx, 3*time.Second), g, l.load)
		synctest.Wait()
		second := start(at(ctx2, 30*time.Second), g, l.load)
		synctest.Wait()
		cancel2()
		<-second // only the first waits now
		clocks.Move(10*time.Second, 0)
		third := start(context.Background(), g, l.load)
		synctest.Wait()
		close(l.open)
		if r := <-third; r.joined {
			t.Errorf("third caller got %+v: joined a flight whose only waiter's deadline passed 7 s ago", r)
		}
		<-first
	})
}

// A load's context has no deadline of its callers. If it hid the deadlines of its
// waiters, a flight that only another flight's load waits for would seem to have no
// limit.
func TestNestedFlightOfAFrozenInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		frozen := untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(3 * time.Second)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.Do(frozen, Request[int]{Key: "outer", Terms: Terms{MaxAge: time.Minute}, Load: func(ctx context.Context, _ *Call[int]) (int, error) {
				v, _, err := g.Do(ctx, Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute}, Load: l.load})
				return v, err
			}})
		}()
		synctest.Wait()
		clocks.Move(10*time.Second, 0)
		next := start(context.Background(), g, l.load)
		synctest.Wait()
		close(l.open)
		if r := <-next; r.joined {
			t.Errorf("next invocation got %+v: joined the flight that the frozen one left behind", r)
		}
		<-done
	})
}

// A caller whose deadline passed while the process was frozen loads nothing.
func TestPassedDeadlineStartsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		close(l.open)
		g := NewGroup[int](clocks.Clock())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		dead := untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(-time.Second)}
		r := <-start(dead, g, l.load)
		if r.err != context.DeadlineExceeded || l.calls.Load() != 0 {
			t.Errorf("got %+v after %d loads", r, l.calls.Load())
		}
	})
}

// A load calls Goexit, and one of its deferred functions panics. recover ends the
// panic, but the Goexit continues.
func TestPanicDuringGoexit(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, open := NewGroup[int](clock.New()), make(chan struct{})
		load := func(context.Context, *Call[int]) (int, error) {
			defer panic("clean-up failed")
			<-open
			runtime.Goexit()
			return 0, nil
		}
		first := start(ctx, g, load)
		synctest.Wait()
		second := start(ctx, g, load)
		synctest.Wait()
		close(open)
		<-first
		if r := <-second; r.caught == nil {
			t.Errorf("the second caller got %+v, want the panic", r)
		}
	})
}

// A context of the caller's that panics leaves no lock behind.
func TestContextThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[int](clock.New())
		load := func(context.Context, *Call[int]) (int, error) { return 7, nil }
		if r := <-start(rude{context.Background()}, g, load); r.caught == nil {
			t.Errorf("got %+v", r)
		}
		if r := <-start(context.Background(), g, load); r.v != 7 {
			t.Errorf("the next caller got %+v", r)
		}
	})
}

type rude struct{ context.Context }

func (rude) Deadline() (time.Time, bool) { panic("rude") }

// A caller that cannot leave needs no goroutine.
func TestUncancellableLoadRunsInline(t *testing.T) {
	here := goroutine()
	NewGroup[int](clock.New()).Do(context.Background(), Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute}, Load: func(context.Context, *Call[int]) (int, error) {
		if goroutine() != here {
			t.Error("the load runs in another goroutine")
		}
		return 1, nil
	}})
}

// goroutine returns the first line of the stack, which has the goroutine's number.
func goroutine() string {
	b := make([]byte, 20)
	return string(b[:runtime.Stack(b, false)])
}

// With any MaxAge, a flight that is older than any invocation is not joined.
func TestFlightThatIsOlderThanAnyInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clocks, l := clocktest.New(), newGate()
		g := NewGroup[int](clocks.Clock())
		do := func() <-chan bool {
			ch := make(chan bool, 1)
			go func() {
				_, joined, _ := g.Do(context.Background(), Request[int]{Key: "key", Terms: Terms{MaxAge: clock.Forever}, Load: l.load})
				ch <- joined
			}()
			return ch
		}
		first := do()
		synctest.Wait()
		clocks.Move(0, clock.LongestInvocation-1)
		second := do()
		synctest.Wait()
		clocks.Move(0, 1)
		third := do()
		synctest.Wait()
		close(l.open)
		if <-first || !<-second || <-third {
			t.Error("only the second caller should have joined")
		}
	})
}
