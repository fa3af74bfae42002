package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

// patience bounds the waits for events that must come, however busy the machine is.
const patience = 5 * time.Minute

func testFunction(role string) host.Lambda {
	return host.Lambda{
		Binary: os.Args[0],
		Env:    []string{roleVariable + "=" + role},
		// The tests that are about a time-out set their own.
		Timeout:     time.Minute,
		InitTimeout: patience,
	}
}

func testAction(role string) host.OpenWhisk {
	return host.OpenWhisk{
		Binary: os.Args[0],
		Env:    []string{roleVariable + "=" + role},
	}
}

// patiently runs a scenario with a short Timeout, and with longer ones as long as it
// fails: on a busy machine an invocation that should succeed may also time out.
func patiently(t *testing.T, scenario func(t testing.TB, timeout time.Duration)) {
	t.Helper()
	timeout := time.Second
	for ; timeout < time.Minute; timeout *= 4 {
		a := &attempt{TB: t, timeout: timeout}
		if a.run(scenario); !a.failed {
			return
		}
		t.Logf("failed with a Timeout of %v", timeout)
	}
	scenario(t, timeout)
}

// patienceOf is shorter for an attempt: there will be another one.
func patienceOf(t testing.TB) time.Duration {
	if a, ok := t.(*attempt); ok {
		return 2 * a.timeout
	}
	return patience
}

// attempt logs its failures without failing the test.
type attempt struct {
	testing.TB
	timeout  time.Duration
	failed   bool
	cleanups []func()
}

func (a *attempt) run(scenario func(testing.TB, time.Duration)) {
	var wg sync.WaitGroup
	wg.Go(func() { // a goroutine that Fatal can end
		defer func() {
			for _, f := range slices.Backward(a.cleanups) {
				f()
			}
		}()
		scenario(a, a.timeout)
	})
	wg.Wait()
}

func (a *attempt) Cleanup(f func()) { a.cleanups = append(a.cleanups, f) }

func (a *attempt) Error(args ...any) {
	a.Helper()
	a.Log(args...)
	a.failed = true
}

func (a *attempt) Errorf(format string, args ...any) {
	a.Helper()
	a.Error(fmt.Sprintf(format, args...))
}

func (a *attempt) Fatal(args ...any) {
	a.Helper()
	a.Error(args...)
	runtime.Goexit()
}

func (a *attempt) Fatalf(format string, args ...any) {
	a.Helper()
	a.Fatal(fmt.Sprintf(format, args...))
}

// runner drives a function on either host, and fails the test itself.
type runner struct {
	host.Sandbox
	t testing.TB
}

type environment struct {
	runner
	Do func(context.Context, host.Request) (host.Result, error)
}

func open(t testing.TB, l host.Lambda) environment {
	t.Helper()
	env, err := l.Environment()
	return environment{newRunner(t, env, err), env.Do}
}

type container struct {
	runner
	Do func(context.Context, host.Activation) (host.Result, error)
}

func openContainer(t testing.TB, w host.OpenWhisk) container {
	t.Helper()
	c, err := w.Container()
	return container{newRunner(t, c, err), c.Do}
}

func newRunner(t testing.TB, s host.Sandbox, err error) runner {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return runner{s, t}
}

func (e runner) invoke(c command) host.Result {
	e.t.Helper()
	event, _ := json.Marshal(c)
	res, err := e.Invoke(e.t.Context(), event)
	if err != nil {
		e.t.Fatal(err)
	}
	return res
}

// expect invokes the function and checks its state: how the process was started,
// how often it has been called and whether the temporary files exist.
func (e runner) expect(start host.StartKind, count int, marker bool) host.Result {
	e.t.Helper()
	res := e.invoke(command{})
	got := decode(e.t, res)
	if res.Start != start || got.Count != count || got.Marker != marker {
		e.t.Fatalf("start %v, count %d, marker %v; want %v, %d, %v", res.Start, got.Count, got.Marker, start, count, marker)
	}
	return res
}

func (e runner) freeze() {
	e.t.Helper()
	if err := e.Freeze(); err != nil {
		e.t.Fatal(err)
	}
}

func (e runner) thaw() {
	e.t.Helper()
	if err := e.Thaw(); err != nil {
		e.t.Fatal(err)
	}
}

// start is invoke in the background, for the tests that interfere.
func (e runner) start(c command) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		event, _ := json.Marshal(c)
		res, err := e.Invoke(e.t.Context(), event)
		done <- outcome{res, err}
	}()
	return done
}

type outcome struct {
	host.Result
	err error
}

func decode(t testing.TB, res host.Result) report {
	t.Helper()
	if res.FunctionError != nil {
		t.Fatal(res.FunctionError)
	}
	var r report
	if err := json.Unmarshal(res.Payload, &r); err != nil {
		t.Fatalf("%v in %q", err, res.Payload)
	}
	return r
}

// gate is where processes of a function wait for the test.
type gate struct {
	*net.TCPListener
	t testing.TB
}

func newGate(t testing.TB) gate {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return gate{l, t}
}

func (g gate) addr() string { return g.Addr().String() }

// arrival waits until an invocation is at the gate. Closing the arrival lets it
// continue.
func (g gate) arrival() net.Conn {
	g.t.Helper()
	_ = g.SetDeadline(time.Now().Add(patienceOf(g.t)))
	c, err := g.Accept()
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

// awaitDeath returns when the process that waits at the gate is dead.
func awaitDeath(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patienceOf(t))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the process is still alive")
	}
}

// writeProgram writes a program that can be executed at once. Without the lock a
// process that another test forks meanwhile inherits the open file (ETXTBSY).
func writeProgram(t testing.TB, name, code string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(name, []byte(code), 0o755); err != nil {
		t.Fatal(err)
	}
}

// state returns the letter of the process's state: T is stopped.
func state(t testing.TB, pid int) string {
	t.Helper()
	return stateIn(t, fmt.Sprintf("/proc/%d/stat", pid))
}

func stateIn(t testing.TB, stat string) string {
	t.Helper()
	b, err := os.ReadFile(stat)
	if errors.Is(err, fs.ErrNotExist) {
		return "gone"
	}
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return after[:1]
}

// logs is an io.Writer for several goroutines.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
