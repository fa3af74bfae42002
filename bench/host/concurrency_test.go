package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

func concurrent(role string, n int) host.Lambda {
	l := testFunction(role)
	l.Concurrency = n
	return l
}

func (g gate) event() command { return command{Do: "hold", Arg: g.addr()} }

// nobody fails the test if an invocation arrives at the gate within a short time.
func (g gate) nobody() {
	g.t.Helper()
	_ = g.SetDeadline(time.Now().Add(100 * time.Millisecond))
	if c, err := g.Accept(); err == nil {
		c.Close()
		g.t.Error("an invocation is at the gate")
	}
}

func TestInvocationsAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, concurrent("function", 3))
	var running []<-chan outcome
	var held []net.Conn
	for range 3 {
		running = append(running, e.start(g.event()))
	}
	for range 3 { // wait until all are at the gate
		held = append(held, g.arrival())
	}
	running = append(running, e.start(g.event())) // one more than the limit
	g.nobody()
	held[0].Close()
	held[0] = g.arrival()
	for _, c := range held {
		c.Close()
	}
	starts := map[host.StartKind]int{}
	for _, done := range running {
		got := <-done
		if got.err != nil || got.FunctionError != nil || got.Died || got.Pid != e.Pid() {
			t.Errorf("%+v", got)
		}
		starts[got.Start]++
	}
	if starts[host.Cold] != 1 || starts[host.Warm] != 3 {
		t.Errorf("%v", starts)
	}
	e.expect(host.Warm, 5, true)
}

// An invocation that has finished does not wait for others.
func TestOverWhenAnswered(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, concurrent("function", 2))
	done := e.start(g.event())
	held := g.arrival()
	for n := range 50 {
		e.expect(host.Warm, n+2, true)
	}
	held.Close()
	if got := <-done; got.err != nil || got.Start != host.Cold || got.FunctionError != nil {
		t.Errorf("%+v", got)
	}
}

func TestConcurrencyVariables(t *testing.T) {
	t.Parallel()
	variables := func(n int) []string {
		return decode(t, open(t, concurrent("function", n)).invoke(command{Do: "environment"})).Env
	}
	for _, want := range []string{"AWS_LAMBDA_MAX_CONCURRENCY=7", "AWS_LAMBDA_INITIALIZATION_TYPE=lambda-managed-instances"} {
		if !slices.Contains(variables(7), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if slices.ContainsFunc(variables(0), func(v string) bool { return strings.HasPrefix(v, "AWS_LAMBDA_MAX_CONCURRENCY=") }) {
		t.Error("AWS_LAMBDA_MAX_CONCURRENCY is set for a function without concurrency")
	}
}

// The caller gets a time-out while the code runs on and keeps its slot. Its late
// answer has no effect.
func TestTimeoutKillsNothing(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		l := concurrent("function", 2)
		l.Timeout = timeout
		g := newGate(t)
		e := open(t, l)
		e.expect(host.Cold, 1, false)
		res := e.invoke(g.event())
		late := g.arrival()
		if f := res.FunctionError; f == nil || f.Type != host.ErrorTimeout || res.Died || res.Duration < l.Timeout {
			t.Errorf("%+v, %v", res, f)
		}
		if warm := e.expect(host.Warm, 3, true); warm.Pid != res.Pid {
			t.Error("another process")
		}
		first, second := e.start(g.event()), e.start(g.event()) // there is one free slot
		held := g.arrival()
		g.nobody()
		late.Close() // the late answer frees the other slot
		g.arrival().Close()
		held.Close()
		for _, done := range []<-chan outcome{first, second} {
			if got := <-done; got.err != nil || got.FunctionError != nil || got.Pid != res.Pid {
				t.Errorf("%+v", got)
			}
		}
	})
}

// openOccupied returns an environment both of whose slots are occupied by code that
// outlived its invocation. One of them ends when late is closed.
func openOccupied(t testing.TB, timeout time.Duration) (e environment, late net.Conn) {
	t.Helper()
	l := concurrent("function", 2)
	l.Timeout = timeout
	g := newGate(t)
	e = open(t, l)
	one, other := e.start(g.event()), e.start(g.event())
	late = g.arrival()
	g.arrival()
	<-one
	<-other
	return e, late
}

// While all slots are occupied by code that outlived its invocation, the next
// invocation waits, and its Timeout does not start.
func TestTimedOutKeepsItsPlace(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		e, late := openOccupied(t, timeout)
		next := e.start(command{})
		time.Sleep(timeout + 200*time.Millisecond)
		late.Close()
		if got := <-next; got.err != nil || got.FunctionError != nil {
			t.Errorf("%+v", got)
		}
	})
}

// A function with fewer loops than slots leaves the other slots unused.
func TestBusy(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		l := concurrent("function", 2)
		l.Env = append(l.Env, "AWS_LAMBDA_MAX_CONCURRENCY=1")
		l.Timeout = timeout
		g := newGate(t)
		e := open(t, l)
		done := e.start(g.event())
		held := g.arrival()
		if _, err := e.Invoke(t.Context(), nil); !errors.Is(err, host.ErrBusy) {
			t.Error(err)
		}
		held.Close()
		<-done
		e.expect(host.Warm, 2, true)
	})
}

func TestContextEndsOneOfMany(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, concurrent("function", 2))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		event, _ := json.Marshal(g.event())
		_, err := e.Invoke(ctx, event)
		gone <- err
	}()
	left := g.arrival()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	e.expect(host.Warm, 2, true)
	left.Close()
	e.expect(host.Warm, 3, true)
}

// A caller that gives up during the init does not end the process for others.
func TestContextEndsSharedInit(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	l := concurrent("held-init", 2)
	l.Env = append(l.Env, "GATE="+g.addr())
	e := open(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := e.Invoke(ctx, nil)
		gone <- err
	}()
	held := g.arrival()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	held.Close()
	e.expect(host.Warm, 1, false)
}

// After a panic the function accepts no more invocations, finishes the running
// ones, and exits. Later invocations get a new process.
func TestPanicEndsSharedProcess(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, concurrent("function", 2))
	done := e.start(g.event())
	held := g.arrival()
	res := e.invoke(command{Do: "panic", Arg: "boom"})
	if f := res.FunctionError; f == nil || f.Type != "string" || f.Message != "boom" {
		t.Errorf("%v", f)
	}
	next := e.start(command{})
	select {
	case got := <-next:
		t.Errorf("%+v", got)
	case <-time.After(100 * time.Millisecond):
	}
	held.Close()
	if got := <-done; got.err != nil || got.FunctionError != nil || got.Pid != res.Pid {
		t.Errorf("%+v", got)
	}
	if got := <-next; got.err != nil || got.Start != host.Restarted || decode(t, got.Result).Count != 1 || got.Pid == res.Pid {
		t.Errorf("%+v", got)
	}
}

func TestCrashEndsAllInvocations(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, concurrent("function", 2))
	one, other := e.start(g.event()), e.start(g.event())
	g.arrival()
	g.arrival()
	e.Crash()
	for _, done := range []<-chan outcome{one, other} {
		if got := <-done; got.err != nil || got.FunctionError == nil || got.FunctionError.Type != host.ErrorExit || !got.Died {
			t.Errorf("%+v", got)
		}
	}
	e.expect(host.Restarted, 1, true)
}

// In the next process, the slots of abandoned invocations are free.
func TestCrashFreesPlaces(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		e, _ := openOccupied(t, timeout)
		e.Crash()
		e.expect(host.Restarted, 1, true)
		e.expect(host.Warm, 2, true)
	})
}

func TestCloseEndsAllInvocations(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, concurrent("function", 2))
	running := []<-chan outcome{e.start(g.event()), e.start(g.event())}
	g.arrival()
	g.arrival()
	running = append(running, e.start(command{})) // waits for a slot
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, done := range running {
		if got := <-done; !errors.Is(got.err, os.ErrClosed) {
			t.Errorf("%+v", got)
		}
	}
}

// All methods concurrently, for the race detector.
func TestConcurrentUseOfSharedProcess(t *testing.T) {
	t.Parallel()
	e := open(t, concurrent("function", 4))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := e.Invoke(t.Context(), nil); err != nil && !strings.Contains(err.Error(), "init of") {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		time.Sleep(20 * time.Millisecond)
		e.Crash()
	}
	wg.Wait()
}
