package host_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

func TestFreezeStopsTheProcess(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	e.expect(host.Cold, 1, false)
	for i := range 3 { // every time, not only the first
		e.freeze()
		e.freeze()
		if got := state(t, e.Pid()); got != "T" {
			t.Fatalf("state %s when frozen", got)
		}
		e.expect(host.Thawed, 2+2*i, true)
		if got := state(t, e.Pid()); got == "T" {
			t.Fatalf("state %s when thawed", got)
		}
		e.expect(host.Warm, 3+2*i, true)
	}
}

func TestThawByHand(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	e.expect(host.Cold, 1, false)
	e.freeze()
	e.thaw()
	e.thaw()
	if got := state(t, e.Pid()); got == "T" {
		t.Fatalf("state %s when thawed", got)
	}
	e.expect(host.Thawed, 2, true)
	e.expect(host.Warm, 3, true)
}

func TestFreezeMidInvocation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	e.expect(host.Cold, 1, false)
	done := e.start(command{Do: "watch", Arg: g.addr()})
	watching := g.arrival()
	e.freeze()
	watching.Close() // it cannot notice
	const frozen = 300 * time.Millisecond
	time.Sleep(frozen)
	if got := state(t, e.Pid()); got != "T" {
		t.Fatalf("state %s when frozen", got)
	}
	e.thaw()
	got := <-done
	if got.err != nil || got.Start != host.Warm || got.Duration < frozen {
		t.Fatalf("%+v", got)
	}
	if gap := decode(t, got.Result).Gap; gap < frozen {
		t.Errorf("the function's clock saw a gap of %v", gap)
	}
	e.expect(host.Warm, 3, true)
}

// When Freeze returns, every thread has stopped.
func TestFreezeStopsBusyThreads(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	l := testFunction("function")
	l.Timeout = 2 * patience
	e := open(t, l)
	done := e.start(command{Do: "watch", Arg: g.addr()})
	watching := g.arrival()
	for range 200 {
		e.freeze()
		for _, stat := range glob(t, fmt.Sprintf("/proc/%d/task/*/stat", e.Pid())) {
			if got := stateIn(t, stat); got != "T" {
				t.Fatalf("%s: state %s", stat, got)
			}
		}
		e.thaw()
	}
	watching.Close()
	if got := <-done; got.err != nil || got.Died {
		t.Errorf("%+v", got)
	}
}

// A daemon that has left the process group and holds the function's output dies with
// the function and delays nothing.
func TestCrashTakesDaemons(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	e.invoke(command{Do: "daemon", Arg: g.addr()})
	daemon := g.arrival()
	e.Crash()
	e.expect(host.Restarted, 1, true)
	awaitDeath(t, daemon)
}

func TestTimeoutWhileFrozen(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		l := testFunction("function")
		l.Timeout = timeout
		g := newGate(t)
		e := open(t, l)
		done := e.start(command{Do: "hold", Arg: g.addr()})
		g.arrival()
		e.freeze()
		if got := <-done; got.err != nil || got.FunctionError == nil || got.FunctionError.Type != host.ErrorTimeout {
			t.Errorf("%+v", got)
		}
		e.expect(host.Restarted, 1, true)
		e.expect(host.Warm, 2, true)
	})
}

func TestFrozenDies(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	e.expect(host.Cold, 1, false)
	e.freeze()
	e.Crash()
	e.expect(host.Restarted, 1, true)
	e.freeze()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestFreezeStopsTheChildren(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	e := open(t, testFunction("function"))
	e.invoke(command{Do: "child", Arg: g.addr()})
	child := g.arrival()
	e.freeze()
	pids := children(t, e.Pid())
	if len(pids) != 1 {
		t.Fatalf("children %v", pids)
	}
	if got := awaitState(t, pids[0], "T"); got != "T" {
		t.Errorf("the child's state is %s", got)
	}
	child.Close() // makes it end if it can run
	if got := state(t, pids[0]); got != "T" {
		t.Errorf("the child's state is %s", got)
	}
}

// The function dies with the host, even if the host is killed.
func TestDiesWithTheHost(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	cmd := exec.Command(os.Args[0], g.addr())
	cmd.Env = []string{roleVariable + "=host", "PATH=" + os.Getenv("PATH")}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tmp, _ := bufio.NewReader(out).ReadString('\n')
	defer os.RemoveAll(strings.TrimSpace(tmp))
	held := g.arrival()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	awaitDeath(t, held)
}

// All methods concurrently, for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if _, err := e.Invoke(t.Context(), nil); err != nil && !strings.Contains(err.Error(), "init of") {
					t.Error(err) // a crash during the init is an error of Invoke
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				e.freeze()
				e.Pid()
				e.thaw()
			}
			e.Crash()
		})
	}
	wg.Wait()
}

func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	for _, task := range glob(t, fmt.Sprintf("/proc/%d/task/*/children", pid)) {
		b, err := os.ReadFile(task)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range strings.Fields(string(b)) {
			n, _ := strconv.Atoi(field)
			pids = append(pids, n)
		}
	}
	return pids
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	return names
}

// awaitState polls the state of the process. Only the parent is notified when a
// stop takes effect, and the parent is frozen.
func awaitState(t *testing.T, pid int, want string) (got string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if got = state(t, pid); got == want || got == "gone" {
			return got
		}
		time.Sleep(time.Millisecond)
	}
	return got
}
