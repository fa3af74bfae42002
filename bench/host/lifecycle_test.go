package host_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

func TestStartKinds(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	if e.Pid() != 0 {
		t.Error("a process before the first invocation")
	}
	cold := e.expect(host.Cold, 1, false)
	warm := e.expect(host.Warm, 2, true)
	e.Crash()
	if e.Pid() != 0 {
		t.Error("a process after the crash")
	}
	restarted := e.expect(host.Restarted, 1, true)
	if cold.Pid != warm.Pid || restarted.Pid == warm.Pid || e.Pid() != restarted.Pid {
		t.Errorf("pids %d, %d, %d", cold.Pid, warm.Pid, restarted.Pid)
	}
	if cold.Init <= 0 || warm.Init != 0 || restarted.Init <= 0 {
		t.Errorf("init %v, %v, %v", cold.Init, warm.Init, restarted.Init)
	}
	if cold.RequestID == warm.RequestID || cold.Duration <= 0 {
		t.Errorf("ids %s, %s, duration %v", cold.RequestID, warm.RequestID, cold.Duration)
	}
}

func TestEnvironmentsShareNothing(t *testing.T) {
	t.Parallel()
	one, other := open(t, testFunction("function")), open(t, testFunction("function"))
	one.expect(host.Cold, 1, false)
	other.expect(host.Cold, 1, false)
	one.expect(host.Warm, 2, true)
}

// A process that ends in the middle of an invocation loses its memory and leaves
// its files.
func TestProcessEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ do, kind, message string }{
		{"panic", "string", "boom"},
		{"exit", host.ErrorExit, "Runtime exited with error: exit status 3"},
		{"exit-0", host.ErrorExit, "Runtime exited without providing a reason"},
		{"kill", host.ErrorExit, "Runtime exited with error: signal: killed"},
	} {
		t.Run(tt.do, func(t *testing.T) {
			t.Parallel()
			e := open(t, testFunction("function"))
			e.expect(host.Cold, 1, false)
			res := e.invoke(command{Do: tt.do, Arg: "boom"})
			if f := res.FunctionError; f == nil || f.Type != tt.kind || !strings.Contains(f.Message, tt.message) || !res.Died {
				t.Errorf("error %v, died %v", f, res.Died)
			}
			e.expect(host.Restarted, 1, true)
		})
	}
}

func TestPanicHasAStack(t *testing.T) {
	t.Parallel()
	res := open(t, testFunction("function")).invoke(command{Do: "panic"})
	if !strings.Contains(string(res.FunctionError.Stack), "function_test.go") {
		t.Errorf("stack %s", res.FunctionError.Stack)
	}
}

func TestHandlerErrorKeepsTheProcess(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	res := e.invoke(command{Do: "error", Arg: "out of stock"})
	if f := res.FunctionError; f == nil || f.Type != "errorString" || f.Message != "out of stock" || res.Died {
		t.Errorf("error %v, died %v", f, res.Died)
	}
	e.expect(host.Warm, 2, true)
}

func TestTimeoutKillsAndKeepsFiles(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		l := testFunction("function")
		l.Timeout = timeout
		g := newGate(t)
		e := open(t, l)
		res := e.invoke(command{Do: "hold", Arg: g.addr()})
		f := res.FunctionError
		if f == nil || f.Type != host.ErrorTimeout || !strings.Contains(f.Message, fmt.Sprintf("Task timed out after %.2f seconds", timeout.Seconds())) || !res.Died {
			t.Errorf("error %v, died %v", f, res.Died)
		}
		if res.Duration < l.Timeout {
			t.Errorf("killed after %v", res.Duration)
		}
		awaitDeath(t, g.arrival())
		e.expect(host.Restarted, 1, true)
	})
}

// Lambda runs the init of a restart within the invocation.
func TestRestartInitCountsAsInvocation(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		l := testFunction("slow-restart")
		l.Env = append(l.Env, "RESTART="+(2*timeout).String())
		l.Timeout = timeout
		e := open(t, l)
		e.expect(host.Cold, 1, false)
		e.Crash()
		for range 2 {
			res := e.invoke(command{})
			if f := res.FunctionError; res.Start != host.Restarted || f == nil || f.Type != host.ErrorTimeout || !res.Died {
				t.Errorf("%v, %v, died %v", res.Start, f, res.Died)
			}
		}
	})
}

func TestRestartInitShortensTheDeadline(t *testing.T) {
	t.Parallel()
	l := testFunction("slow-init")
	e := open(t, l)
	e.expect(host.Cold, 1, false)
	e.Crash()
	res := e.invoke(command{Do: "environment"})
	if left := decode(t, res).Left; res.Init < slowInit || left > l.Timeout-slowInit {
		t.Errorf("init %v, then %v until the deadline", res.Init, left)
	}
}

func TestCrashMidInvocation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	done := e.start(command{Do: "hold", Arg: g.addr()})
	g.arrival()
	e.Crash()
	if got := <-done; got.err != nil || got.FunctionError == nil || got.FunctionError.Type != host.ErrorExit || !got.Died {
		t.Errorf("%+v", got)
	}
	e.expect(host.Restarted, 1, true)
}

func TestCrashTakesTheChildren(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	e.invoke(command{Do: "child", Arg: g.addr()})
	child := g.arrival()
	e.Crash()
	awaitDeath(t, child)
}

// When a process exits by itself, its children are killed.
func TestExitTakesTheChildren(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	e.invoke(command{Do: "child", Arg: g.addr()})
	child := g.arrival()
	e.invoke(command{Do: "exit"})
	awaitDeath(t, child)
}

func TestContextEndsInvocation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _ = g.Accept(); cancel() }()
	_, err := e.Invoke(ctx, []byte(`{"Do":"hold","Arg":"`+g.addr()+`"}`))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	e.expect(host.Restarted, 1, true)
}

func TestContextEndedBefore(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	e.expect(host.Cold, 1, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // the turn is free and ctx is done: either may win the select
		if _, err := e.Invoke(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	e.expect(host.Warm, 2, true)
}

// A caller that stops waiting for its turn does not affect the running invocation.
func TestContextEndsWait(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	done := e.start(command{Do: "hold", Arg: g.addr()})
	held := g.arrival()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Invoke(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	held.Close()
	if got := <-done; got.err != nil || got.Died {
		t.Errorf("%+v", got)
	}
}

func TestConcurrentInvokesTakeTurns(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	const n = 20
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := e.Invoke(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	e.expect(host.Warm, n+1, true)
}

func TestClose(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	e.invoke(command{Do: "child", Arg: g.addr()})
	child := g.arrival()
	pid := e.Pid()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	awaitDeath(t, child)
	if state(t, pid) != "gone" || e.Pid() != 0 {
		t.Error("the process is still there")
	}
	if _, err := os.Stat(e.Tmp()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("temporary files: %v", err)
	}
	if _, err := e.Invoke(t.Context(), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Invoke after Close: %v", err)
	}
}

func TestCloseMidInvocation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	done := e.start(command{Do: "hold", Arg: g.addr()})
	held := g.arrival()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; !errors.Is(got.err, os.ErrClosed) {
		t.Errorf("%+v", got)
	}
	awaitDeath(t, held)
}

func TestNothingToDoWithoutProcess(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	e.freeze()
	e.thaw()
	e.Crash()
	e.expect(host.Cold, 1, false)
}
