package main

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/bench/host"
)

// counted is an answer of the example counter.
type counted struct {
	X, Disk  int64
	Instance string
	Start    string
}

// Memory and /tmp have different lifetimes: a crash clears memory on Lambda, and
// both on OpenWhisk.
func TestCounterCrashes(t *testing.T) {
	needsUnix(t)
	s := subject{binary: buildExample(t, "counter")}
	panics := func(t *testing.T, sandbox host.Sandbox, means string) {
		t.Helper()
		if got, res := answer(t, sandbox, `{"panic":true}`); !strings.Contains(got, means) || !res.Died {
			t.Errorf("panic: %s, %+v", got, res)
		}
	}
	crashes := map[string]func(t *testing.T, sandbox host.Sandbox){
		"panic": func(t *testing.T, sandbox host.Sandbox) {
			_, lambda := sandbox.(*host.Environment)
			panics(t, sandbox, map[bool]string{true: "asked to panic, at x = 4", false: "command exited: exit status 2"}[lambda])
		},
		"kill": func(t *testing.T, sandbox host.Sandbox) {
			count(t, sandbox)
			sandbox.Crash()
		},
	}
	for name, crash := range crashes {
		for on, sandbox := range s.sandboxes(t) {
			t.Run(name+" on "+on, func(t *testing.T) {
				first := expectCount(t, sandbox, 1, 1, "cold")
				expectCount(t, sandbox, 2, 2, "warm")
				if err := sandbox.Freeze(); err != nil {
					t.Logf("cannot freeze here: %v", err)
				}
				if third := expectCount(t, sandbox, 3, 3, "warm"); third.Instance != first.Instance {
					t.Errorf("instances %s and %s", first.Instance, third.Instance)
				}
				crash(t, sandbox) // it has counted to 4
				disk, start := int64(5), "restarted"
				if on == "openwhisk" {
					disk, start = 1, "cold"
				}
				if next := expectCount(t, sandbox, 1, disk, start); next.Instance == first.Instance {
					t.Error("the process is the same")
				}
				expectCount(t, sandbox, 2, disk+1, "warm")
			})
		}
	}
}

func expectCount(t *testing.T, s host.Sandbox, x, disk int64, start string) counted {
	t.Helper()
	c := count(t, s)
	if c.X != x || c.Disk != disk || c.Start != start {
		t.Errorf("%+v, want %d, %d, %s", c, x, disk, start)
	}
	return c
}

func count(t *testing.T, s host.Sandbox) (c counted) {
	t.Helper()
	got, res := answer(t, s, `{}`)
	if err := json.Unmarshal([]byte(got), &c); err != nil || res.FunctionError != nil {
		t.Fatalf("%s, %v", got, err)
	}
	return c
}

// Two containers are two counters.
func TestCounterInTwoContainers(t *testing.T) {
	needsUnix(t)
	s := subject{binary: buildExample(t, "counter")}
	one, other := s.sandboxes(t), s.sandboxes(t)
	for name := range one {
		expectCount(t, one[name], 1, 1, "cold")
		expectCount(t, one[name], 2, 2, "warm")
		expectCount(t, other[name], 1, 1, "cold")
	}
}

// The hosts can run the packages that the zip command builds.
func TestZipsRun(t *testing.T) {
	needsUnix(t)
	if runtime.GOOS != "linux" {
		t.Skip("the programs in the zips are for Linux")
	}
	examples, err := checkout.Examples()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./zip", "-arch", runtime.GOARCH, "-o", dir, "counter")
	cmd.Dir, cmd.Env = examples, append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lambda := subject{binary: unpack(t, filepath.Join(dir, "counter-lambda.zip"), "bootstrap")}
	openWhisk := subject{binary: unpack(t, filepath.Join(dir, "counter-openwhisk.zip"), "exec")}
	expectCount(t, lambda.sandboxes(t)["lambda"], 1, 1, "cold")
	expectCount(t, openWhisk.sandboxes(t)["openwhisk"], 1, 1, "cold")
}

// unpack unpacks a zip as a host does, and returns the path of the program.
func unpack(t *testing.T, file, program string) string {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	dir := t.TempDir()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), b, f.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, program)
}
