package host_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

func TestBinaryThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, binary, mentions string
		is                     error
	}{
		{"none", "", "no Binary given", nil},
		{"missing", filepath.Join(dir, "missing"), "missing", fs.ErrNotExist},
		{"not executable", text, text, fs.ErrPermission},
		{"directory", dir, dir, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := host.Lambda{Binary: tt.binary, Name: "orders"}.Environment()
			if err == nil || !strings.Contains(err.Error(), "orders") || !strings.Contains(err.Error(), tt.mentions) {
				t.Fatal(err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Error(err)
			}
		})
	}
}

func TestBinaryIsNoProgram(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(text, []byte("hello"), 0o755); err != nil {
		t.Fatal(err)
	}
	e := open(t, host.Lambda{Binary: text})
	if _, err := e.Invoke(t.Context(), nil); err == nil || !strings.Contains(err.Error(), text) {
		t.Error(err)
	}
}

func TestInitFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ role, kind, mentions string }{
		{"dies", host.ErrorExit, "exit status 7"},
		{"dies", host.ErrorExit, "no database"}, // its output
		{"silent", host.ErrorTimeout, "asked for no event within 100ms"},
		{"reports", "NoSuchHandler", "no handler named x"},
	} {
		t.Run(tt.role, func(t *testing.T) {
			t.Parallel()
			l := testFunction(tt.role)
			if tt.role == "silent" {
				l.InitTimeout = 100 * time.Millisecond
			}
			e := open(t, l)
			for _, start := range []host.StartKind{host.Cold, host.Restarted} { // the next one fails like the first
				res, err := e.Invoke(t.Context(), nil)
				if f := res.FunctionError; err != nil || !res.InitFailed || !res.Died || res.Start != start || f == nil ||
					f.Type != tt.kind || !strings.Contains(f.Message+res.Output, tt.mentions) {
					t.Errorf("%+v, %v, %v", res, f, err)
				}
				if e.Pid() != 0 {
					t.Error("the process is still there")
				}
				if tt.role == "silent" { // a restart has the Timeout instead
					break
				}
			}
		})
	}
}

func TestContextEndsInit(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("silent"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.Invoke(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if e.Pid() != 0 {
		t.Error("the process is still there")
	}
}
