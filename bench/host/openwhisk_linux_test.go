package host_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	w := testAction("action")
	w.Timeout = 2 * time.Second
	g := newGate(t)
	c := openContainer(t, w)
	done := c.start(command{Do: "hold", Arg: g.addr()})
	g.arrival()
	c.freeze()
	if got := <-done; got.err != nil || got.FunctionError == nil || got.FunctionError.Type != host.ErrorTimeout || !got.Died {
		t.Errorf("%+v", got)
	}
	c.expect(host.Cold, 1, false)
}

// A freeze that came and went within an activation is not the next one's.
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

// A daemon that has left the process group holds the action's file descriptors
// and holds up nothing.
func TestDaemonOfAnAction(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c := openContainer(t, testAction("action"))
	c.invoke(command{Do: "daemon", Arg: g.addr()})
	daemon := g.arrival()
	if res := c.invoke(command{Do: "exit"}); res.FunctionError == nil || !res.Died {
		t.Errorf("%+v", res)
	}
	c.expect(host.Cold, 1, false)
	if err := daemon.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the daemon is gone: %v", err)
	}
}

// With a /tmp of its own the action has no TMPDIR and sees nothing of the host's.
func TestPrivateTmp(t *testing.T) {
	t.Parallel()
	w := testAction("action")
	w.PrivateTmp = true
	c := openContainer(t, w)
	if _, err := c.Invoke(t.Context(), nil); errors.Is(err, unix.EPERM) {
		t.Skip("needs CAP_SYS_ADMIN")
	}
	res := c.expect(host.Warm, 2, true)
	r := decode(t, c.invoke(command{Do: "environment"}))
	if r.Tmp != "/tmp" || slices.ContainsFunc(r.Env, func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") }) {
		t.Errorf("temporary directory %s, environment %v", r.Tmp, r.Env)
	}
	if names := list(t, c.Tmp()); !slices.Equal(names, []string{"marker"}) {
		t.Errorf("in %s: %v", c.Tmp(), names)
	}
	if inside, outside := mounts(t, res.Pid), mounts(t, os.Getpid()); !strings.Contains(inside, " /tmp ") || inside == outside {
		t.Error("no mount namespace")
	}
	c.Crash()
	c.expect(host.Cold, 1, false)
}

// No thread of the host stays behind in an action's namespace.
func TestPrivateTmpLeavesTheHostAlone(t *testing.T) {
	w := testAction("action")
	w.PrivateTmp = true
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c := openContainer(t, w)
		if _, err := c.Invoke(t.Context(), nil); errors.Is(err, unix.EPERM) {
			t.Skip("needs CAP_SYS_ADMIN")
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		strays := 0
		for _, ns := range glob(t, "/proc/self/task/*/ns/mnt") {
			if got, err := os.Readlink(ns); err == nil && got != own { // a thread may have ended since
				strays++
			}
		}
		if strays == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d threads in other namespaces", strays)
		}
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

// Everything at once, for the race detector.
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

func mounts(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
