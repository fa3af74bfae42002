package host_test

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

func TestFreezeContainer(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	c.expect(host.Cold, 1, false)
	for i := range 3 {
		c.freeze()
		if got := state(t, c.Pid()); got != "T" {
			t.Fatalf("state %s when frozen", got)
		}
		c.expect(host.Thawed, 2+2*i, true)
		c.expect(host.Warm, 3+2*i, true)
	}
	c.freeze()
	c.thaw()
	if got := state(t, c.Pid()); got == "T" {
		t.Fatalf("state %s when thawed", got)
	}
	c.expect(host.Thawed, 8, true)
}

func TestFreezeMidActivation(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		w := testAction("action")
		w.Timeout = timeout
		g := newGate(t)
		c := openContainer(t, w)
		done := c.start(command{Do: "hold", Arg: g.addr()})
		g.arrival()
		c.freeze()
		if got := <-done; got.err != nil || got.FunctionError == nil || got.FunctionError.Type != host.ErrorTimeout || !got.Died {
			t.Errorf("%+v", got)
		}
		c.expect(host.Cold, 1, false)
	})
}

// A freeze within an activation does not count for the next one.
func TestFreezeAndThawMidActivation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c := openContainer(t, testAction("action"))
	done := c.start(command{Do: "hold", Arg: g.addr()})
	held := g.arrival()
	c.freeze()
	c.thaw()
	held.Close()
	if got := <-done; got.err != nil || got.Start != host.Cold || got.FunctionError != nil {
		t.Errorf("%+v", got)
	}
	c.expect(host.Warm, 2, true)
}

func TestFrozenContainerDies(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	c.expect(host.Cold, 1, false)
	c.freeze()
	c.Crash()
	c.expect(host.Cold, 1, false)
	c.freeze()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A daemon that has left the process group holds the action's file descriptors,
// delays nothing, and does not outlive the container.
func TestDaemonOfAnAction(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"exit", "hold", "orphan"} {
		g, end := newGate(t), newGate(t)
		c := openContainer(t, testAction("action"))
		c.invoke(command{Do: "daemon", Arg: g.addr()})
		daemon := g.arrival()
		switch how {
		case "exit":
			if res := c.invoke(command{Do: "exit"}); res.FunctionError == nil || !res.Died {
				t.Errorf("%+v", res)
			}
		case "hold":
			done := c.start(command{Do: "hold", Arg: end.addr()})
			end.arrival()
			c.Crash()
			<-done
		case "orphan":
			c.Close()
			awaitDeath(t, daemon)
			continue
		}
		c.expect(host.Cold, 1, false)
		awaitDeath(t, daemon)
	}
}

func TestContainerLeaksNoFiles(t *testing.T) {
	use := func() {
		c := openContainer(t, testAction("action"))
		c.expect(host.Cold, 1, false)
		c.invoke(command{Do: "exit"})
		c.expect(host.Cold, 1, false)
		c.invoke(command{Do: "no-dictionary"})
		c.expect(host.Cold, 1, false)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	use()
	before := len(list(t, "/proc/self/fd"))
	for range 3 {
		use()
	}
	if after := len(list(t, "/proc/self/fd")); after > before {
		t.Errorf("%d file descriptors, then %d", before, after)
	}
}

// All methods concurrently, for the race detector.
func TestConcurrentUseOfContainer(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if _, err := c.Invoke(t.Context(), nil); err != nil && !strings.Contains(err.Error(), "init of") {
					t.Error(err) // a crash during the init is an error of Invoke
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				c.freeze()
				c.Pid()
				c.thaw()
			}
			c.Crash()
		})
	}
	wg.Wait()
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
