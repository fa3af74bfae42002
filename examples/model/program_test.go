package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/examples/model/table"
)

// buildLookup builds the other program and sets MODEL_LOOKUP.
func buildLookup(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lookup")
	if out, err := exec.Command("go", "build", "-o", path, "./lookup").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("MODEL_LOOKUP", path)
}

func TestProgramGivesTheSameAnswers(t *testing.T) {
	buildLookup(t)
	byProgram := In{IDs: some.IDs, Program: true}
	for setting, requests := range map[string][2]string{
		"":    {"GET 200", ""},
		"off": {"GET 200", "GET 200"},
	} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		for i := range 2 {
			out, err := handle(t.Context(), byProgram)
			if got := encode(out); err != nil || got != want() {
				t.Errorf("WARMCACHE=%s, invocation %d: %s, %v, want %s", setting, i, got, err, want())
			}
			if got := store.Asked(); got != requests[i] {
				t.Errorf("WARMCACHE=%s, invocation %d sent S3 %q", setting, i, got)
			}
		}
		if left, _ := os.ReadDir(tmp); len(left) != 0 {
			t.Errorf("WARMCACHE=%s left %v", setting, left)
		}
	}
}

// The other program does not check checksums, so the copy is verified before.
func TestProgramGetsNoDamagedCopy(t *testing.T) {
	buildLookup(t)
	dir := newContainer(t)
	byProgram := In{IDs: some.IDs, Program: true}
	for range 2 {
		out, err := handle(t.Context(), byProgram)
		if got := encode(out); err != nil || got != want() {
			t.Errorf("got  %s, %v\nwant %s", got, err, want())
		}
		middle := int64(records / 2)
		wrong := byte(table.Price(table.ID(records/2))) ^ 1
		if err := overwrite(copyIn(t, dir), middle*table.RecordSize+15, []byte{wrong}); err != nil {
			t.Fatal(err)
		}
		newProcess(dir)
	}
}

// The deadline kills the program; it does not only end the wait.
func TestProgramEndsWithTheInvocation(t *testing.T) {
	newContainer(t)
	begun := filepath.Join(t.TempDir(), "begun")
	program(t, "echo $$ >"+begun+".new; mv "+begun+".new "+begun+"; exec sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !exists(begun) {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := handle(ctx, In{IDs: some.IDs, Program: true})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	pid, _ := os.ReadFile(begun)
	if err := exec.Command("kill", "-0", strings.TrimSpace(string(pid))).Run(); err == nil {
		t.Error("the program is still running")
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// program installs a shell script as the other program.
func program(t *testing.T, script string) {
	t.Helper()
	if !exists("/bin/sh") {
		t.Skip("needs a shell")
	}
	path := filepath.Join(t.TempDir(), "lookup")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MODEL_LOOKUP", path)
}

func TestProgramFails(t *testing.T) {
	newContainer(t)
	event := In{IDs: []uint64{1007, 1008}, Program: true}
	for _, tt := range []struct{ script, want string }{
		{"echo no such luck >&2; exit 3", "exit status 3: no such luck"},
		{"echo 161772", "1 prices for 2 ids"},
		{"echo 161772 free", "no price"},
	} {
		program(t, tt.script)
		if _, err := handle(t.Context(), event); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error = %v", tt.script, err)
		}
	}
	t.Setenv("MODEL_LOOKUP", "") // the test binary has no program beside it
	if _, err := handle(t.Context(), event); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
}
