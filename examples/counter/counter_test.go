package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/warmcache/warmcache/reuse"
)

// newContainer simulates a new container: memory and /tmp are new.
func newContainer(tmp string) {
	os.Setenv("TMPDIR", tmp)
	newProcess()
}

func newProcess() {
	x.Store(0)
	reused = reuse.New()
}

func inContainer(t *testing.T) {
	t.Helper()
	t.Setenv("TMPDIR", "") // restores it after the test
	newContainer(t.TempDir())
}

func invoke(t *testing.T) Out {
	t.Helper()
	out, err := handle(t.Context(), In{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCountsOn(t *testing.T) {
	inContainer(t)
	for n := int64(1); n <= 3; n++ {
		out := invoke(t)
		start := map[bool]string{true: "cold", false: "warm"}[n == 1]
		if out.X != n || out.Disk != n || out.Invocation != n || out.Start != start || out.Pid != os.Getpid() || out.Instance != instance {
			t.Errorf("invocation %d: %+v", n, out)
		}
		if (out.Gap > 0) != (n > 1) || out.Age <= 0 {
			t.Errorf("invocation %d: age %v, gap %v", n, out.Age, out.Gap)
		}
	}
}

// With METRICS_NAMESPACE, each invocation writes one line of metrics.
func TestMetrics(t *testing.T) {
	inContainer(t)
	var log strings.Builder
	metrics = &log
	defer func() { metrics = os.Stdout }()
	invoke(t)
	if log.Len() > 0 {
		t.Errorf("without METRICS_NAMESPACE: %s", &log)
	}
	t.Setenv("METRICS_NAMESPACE", "Example")
	invoke(t)
	for _, want := range []string{`"Namespace":"Example"`, `"function":"counter"`, `"warm":1`, `"x":2`} {
		if line := log.String(); !strings.Contains(line, want) || strings.Count(line, "\n") != 1 {
			t.Errorf("metrics without %s: %s", want, line)
		}
	}
}

// An invocation that panics is counted.
func TestPanic(t *testing.T) {
	inContainer(t)
	func() {
		defer func() {
			if got := fmt.Sprint(recover()); got != "counter: asked to panic, at x = 1" {
				t.Errorf("panic with %s", got)
			}
		}()
		handle(t.Context(), In{Panic: true})
	}()
	if out := invoke(t); out.X != 2 || out.Disk != 2 {
		t.Errorf("%+v", out)
	}
}

// Concurrent invocations get consecutive numbers without duplicates or gaps.
func TestConcurrentInvocations(t *testing.T) {
	inContainer(t)
	const goroutines, each = 8, 50
	var (
		mu          sync.Mutex
		xs, disks   []int64
		invocations sync.WaitGroup
	)
	for range goroutines {
		invocations.Go(func() {
			for range each {
				out, err := handle(t.Context(), In{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				xs, disks = append(xs, out.X), append(disks, out.Disk)
				mu.Unlock()
			}
		})
	}
	invocations.Wait()
	slices.Sort(xs)
	slices.Sort(disks)
	for i := range xs {
		if want := int64(i + 1); xs[i] != want || disks[i] != want {
			t.Fatalf("number %d: x %d, disk %d", want, xs[i], disks[i])
		}
	}
}

func TestNoDisk(t *testing.T) {
	inContainer(t)
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	if _, err := handle(t.Context(), In{}); err == nil || !strings.HasPrefix(err.Error(), "counter: open ") {
		t.Errorf("error = %v", err)
	}
}

// Memory and /tmp have different lifetimes.
func Example() {
	tmp := func() string {
		dir, err := os.MkdirTemp("", "counter")
		if err != nil {
			panic(err)
		}
		return dir
	}
	defer os.Setenv("TMPDIR", os.Getenv("TMPDIR"))
	one, other := tmp(), tmp()
	defer os.RemoveAll(one)
	defer os.RemoveAll(other)

	invoke := func() {
		out, err := handle(context.Background(), In{})
		fmt.Println(out.Start, "x:", out.X, "disk:", out.Disk, err)
	}
	newContainer(one)
	invoke()
	invoke()
	newContainer(other) // the host starts another container
	invoke()
	os.Setenv("TMPDIR", one)
	newProcess() // the process of the first container has crashed
	// package reuse keeps its state by process, and the test is one process
	out, err := handle(context.Background(), In{})
	fmt.Println("x:", out.X, "disk:", out.Disk, err)
	// Output:
	// cold x: 1 disk: 1 <nil>
	// warm x: 2 disk: 2 <nil>
	// cold x: 1 disk: 1 <nil>
	// x: 1 disk: 3 <nil>
}
