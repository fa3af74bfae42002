//go:build unix

package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

func TestContainerStartKinds(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	if c.Pid() != 0 {
		t.Error("a process before the first activation")
	}
	cold := c.expect(host.Cold, 1, false)
	warm := c.expect(host.Warm, 2, true)
	c.Crash()
	if c.Pid() != 0 {
		t.Error("a process after the crash")
	}
	again := c.expect(host.Cold, 1, false) // unlike Lambda, nothing is left
	if cold.Pid != warm.Pid || again.Pid == warm.Pid || c.Pid() != again.Pid {
		t.Errorf("pids %d, %d, %d", cold.Pid, warm.Pid, again.Pid)
	}
	if cold.Init <= 0 || warm.Init != 0 || again.Init <= 0 {
		t.Errorf("init %v, %v, %v", cold.Init, warm.Init, again.Init)
	}
	if len(cold.RequestID) != 32 || cold.RequestID == warm.RequestID || cold.Duration <= 0 {
		t.Errorf("ids %s, %s, duration %v", cold.RequestID, warm.RequestID, cold.Duration)
	}
}

// The files are removed however the process ends.
func TestActivationDestroysContainer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ do, arg, kind, message string }{
		{"panic", "boom", host.ErrorExit, "command exited: exit status 2"},
		{"exit", "", host.ErrorExit, "command exited: exit status 3"},
		{"exit-0", "", host.ErrorExit, "command exited"},
		{"kill", "", host.ErrorExit, "command exited: signal: killed"},
		{"hang-up", "", host.ErrorExit, "command exited"},
		{"no-dictionary", "text", host.ErrorMalformed, `"\"text\""`},
		{"write", "null\n", host.ErrorMalformed, "null"},
		{"write", "\n", host.ErrorMalformed, `""`},
		{"write", "{ error: \"of the launcher\"}\n", host.ErrorMalformed, "of the launcher"},
	} {
		t.Run(tt.do, func(t *testing.T) {
			t.Parallel()
			c := openContainer(t, testAction("action"))
			c.expect(host.Cold, 1, false)
			res := c.invoke(command{Do: tt.do, Arg: tt.arg})
			if f := res.FunctionError; f == nil || f.Type != tt.kind || !strings.Contains(f.Message, tt.message) || !res.Died || res.Payload != nil {
				t.Errorf("%q, error %v, died %v", res.Payload, f, res.Died)
			}
			if _, err := os.Stat(c.Tmp()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("temporary files: %v", err)
			}
			if c.Pid() != 0 {
				t.Error("the process is still there")
			}
			c.expect(host.Cold, 1, false)
		})
	}
}

func TestActivationKeepsContainer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ do, arg, kind, message, payload string }{
		{"array", "one", "", "", `["one"]`},
		{"whisk-error", `"out of stock"`, host.ErrorApplication, "out of stock", ""},
		{"whisk-error", `{"statusCode":404}`, host.ErrorApplication, `{"statusCode":404}`, ""},
		{"whisk-error", "null", host.ErrorApplication, "null", ""},
		{"large", "1048577", host.ErrorTooLarge, "1048577 > 1048576 bytes", ""},
	} {
		t.Run(tt.do, func(t *testing.T) {
			t.Parallel()
			c := openContainer(t, testAction("action"))
			res := c.invoke(command{Do: tt.do, Arg: tt.arg})
			f := res.FunctionError
			if (f != nil) != (tt.kind != "") || string(res.Payload) != tt.payload || res.Died {
				t.Fatalf("%q, error %v, died %v", res.Payload, f, res.Died)
			}
			if f != nil && (f.Type != tt.kind || !strings.Contains(f.Message, tt.message)) {
				t.Error(f)
			}
			if res := c.invoke(command{}); res.Start != host.Warm || res.FunctionError != nil {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestLargestResult(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	if res := c.invoke(command{Do: "large", Arg: "1048576"}); len(res.Payload) != 1<<20-1 || res.FunctionError != nil {
		t.Errorf("%d bytes, %v", len(res.Payload), res.FunctionError)
	}
}

func TestLargestValue(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("echo-action"))
	value := []byte(`{"k":"` + strings.Repeat("v", 1<<20-len(`{"k":""}`)-1) + `"}`)
	if res, err := c.Invoke(t.Context(), value); err != nil || string(res.Payload) != string(value) {
		t.Errorf("%d bytes, %v, %v", len(res.Payload), res.FunctionError, err)
	}
	if _, err := c.Invoke(t.Context(), append(value, "  "...)); err == nil || !strings.Contains(err.Error(), "1048577 bytes") {
		t.Error(err)
	}
}

func TestValueMustBeObjectOrArray(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	for _, value := range []string{`"text"`, "7", "null", "{", "{}{}", "  "} {
		if _, err := c.Invoke(t.Context(), []byte(value)); err == nil || c.Pid() != 0 {
			t.Errorf("%s: %v", value, err)
		}
	}
	if res, err := c.Invoke(t.Context(), []byte(" [1,\n2]\n")); err != nil || res.FunctionError != nil {
		t.Error(res.FunctionError, err)
	}
}

func TestActivationTimeout(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		w := testAction("action")
		w.Timeout = timeout
		g := newGate(t)
		c := openContainer(t, w)
		res := c.invoke(command{Do: "hold", Arg: g.addr()})
		f := res.FunctionError
		if f == nil || f.Type != host.ErrorTimeout || f.Message != fmt.Sprintf("The action exceeded its time limits of %d milliseconds.", timeout.Milliseconds()) || !res.Died {
			t.Errorf("error %v, died %v", f, res.Died)
		}
		if res.Duration < w.Timeout {
			t.Errorf("killed after %v", res.Duration)
		}
		awaitDeath(t, g.arrival())
		c.expect(host.Cold, 1, false)
	})
}

// An endless answer is not stored, and the host does not wait for its end.
func TestUnfinishedLine(t *testing.T) {
	t.Parallel()
	w := testAction("action")
	w.Timeout = 2 * time.Second
	res := openContainer(t, w).invoke(command{Do: "write", Arg: `{"half":`})
	if f := res.FunctionError; f == nil || f.Type != host.ErrorTimeout || !res.Died {
		t.Errorf("%v", f)
	}
}

// Timeout starts after the init, which has its own timeout.
func TestActionInitIsNotItsActivation(t *testing.T) {
	t.Parallel()
	w := testAction("slow-ack")
	w.Timeout = time.Minute
	c := openContainer(t, w)
	before := time.Now()
	res := c.invoke(command{Do: "environment"})
	took := time.Since(before)
	timeout := decode(t, res).End.Sub(before.Add(slowInit))
	if res.Init < slowInit || timeout < w.Timeout-time.Millisecond || res.Init+res.Duration > took { // the deadline is in whole milliseconds
		t.Errorf("init %v, duration %v, both in %v, a Timeout of %v", res.Init, res.Duration, took, timeout)
	}
}

// An answer counts even if the process ended right after it. OpenWhisk detects the
// end at the next activation, which fails.
func TestDeathBetweenActivations(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	for range 20 {
		if res := c.invoke(command{Do: "answer-and-die", Arg: `{"a":1}`}); string(res.Payload) != `{"a":1}` || res.FunctionError != nil || res.Died {
			t.Fatalf("%+v, %v", res, res.FunctionError)
		}
		if res := c.invoke(command{}); res.Start != host.Warm || res.FunctionError == nil || res.FunctionError.Type != host.ErrorExit || !res.Died {
			t.Fatalf("%+v, %v", res, res.FunctionError)
		}
	}
	c.expect(host.Cold, 1, false)
}

// As with OpenWhisk's proxy, a superfluous line answers the next activation.
func TestLineTooMany(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	c.invoke(command{Do: "answer-twice", Arg: `{"stray":1}`})
	res := c.invoke(command{Do: "environment"})
	if r := decode(t, res); r.Count != 1 { // the report of the first activation
		t.Errorf("%s", res.Payload)
	}
}

func TestActionVariables(t *testing.T) {
	t.Setenv("HOST_TEST_SECRET", "not for the action")
	w := testAction("action")
	w.Name, w.Version, w.Namespace = "shop/quote", "0.0.7", "acme"
	c := openContainer(t, w)
	value, _ := json.Marshal(command{Do: "environment"})
	before := time.Now()
	res, err := c.Do(t.Context(), host.Activation{Value: value, ID: "id-1", TransactionID: "tid-1", APIKey: "key-1"})
	if err != nil {
		t.Fatal(err)
	}
	r := decode(t, res)
	for _, want := range []string{
		"__OW_NAMESPACE=acme",
		"__OW_ACTION_NAME=/acme/shop/quote",
		"__OW_ACTION_VERSION=0.0.7",
		"__OW_ACTIVATION_ID=id-1",
		"__OW_TRANSACTION_ID=tid-1",
		"__OW_API_KEY=key-1",
		"__OW_WAIT_FOR_ACK=1",
		"TMPDIR=" + c.Tmp(),
	} {
		if !slices.Contains(r.Env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, v := range r.Env {
		if !strings.HasPrefix(v, "__OW_") && !strings.HasPrefix(v, "TMPDIR=") && !strings.HasPrefix(v, roleVariable) {
			t.Errorf("the action sees %s", v)
		}
	}
	if r.Dir != filepath.Dir(os.Args[0]) {
		t.Errorf("working directory %s", r.Dir)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(r.Line), &line); err != nil {
		t.Fatal(err)
	}
	deadline, isString := line["deadline"].(string)
	delete(line, "deadline")
	delete(line, "value")
	want := map[string]any{"namespace": "acme", "action_name": "/acme/shop/quote", "action_version": "0.0.7",
		"activation_id": "id-1", "transaction_id": "tid-1", "api_key": "key-1"}
	if !isString || fmt.Sprint(line) != fmt.Sprint(want) || res.RequestID != "id-1" {
		t.Errorf("deadline %s, the rest %v", deadline, line)
	}
	if r.Left > w.Timeout+time.Minute || r.Left < time.Minute-time.Since(before) {
		t.Errorf("%v until the deadline", r.Left)
	}
	if second := c.invoke(command{Do: "environment"}); strings.Contains(decode(t, second).Line, "api_key") {
		t.Error("an unexpected api_key")
	}
}

func TestActionInitFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ role, kind, mentions string }{
		{"dies", host.ErrorExit, "exit status 7"},
		{"dies", host.ErrorExit, "no database"}, // its output
		{"silent", host.ErrorTimeout, "did not acknowledge its start within 1s"},
		{"bad-ack", host.ErrorMalformed, `{\"ok\":false}`},
		{"no-ack", host.ErrorMalformed, "Hello!"},
	} {
		t.Run(tt.role, func(t *testing.T) {
			t.Parallel()
			w := testAction(tt.role)
			if tt.role == "silent" {
				w.Timeout = time.Second
			}
			c := openContainer(t, w)
			for range 2 { // the second is as cold as the first
				res, err := c.Invoke(t.Context(), nil)
				if f := res.FunctionError; err != nil || !res.InitFailed || !res.Died || f == nil || f.Type != tt.kind ||
					!strings.Contains(f.Message+res.Output, tt.mentions) {
					t.Errorf("%+v, %v, %v", res, f, err)
				}
				if _, err := os.Stat(c.Tmp()); c.Pid() != 0 || !errors.Is(err, fs.ErrNotExist) {
					t.Error("the container is still there")
				}
			}
		})
	}
}

func TestActionThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text, program := filepath.Join(dir, "text"), filepath.Join(dir, "exec")
	for name, mode := range map[string]os.FileMode{text: 0o644, program: 0o755} {
		if err := os.WriteFile(name, []byte("hello"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for binary, is := range map[string]error{"": nil, filepath.Join(dir, "missing"): fs.ErrNotExist, text: fs.ErrPermission} {
		_, err := host.OpenWhisk{Binary: binary, Name: "quote"}.Container()
		if err == nil || !strings.Contains(err.Error(), "/guest/quote") || is != nil && !errors.Is(err, is) {
			t.Errorf("%q: %v", binary, err)
		}
	}
	c := openContainer(t, host.OpenWhisk{Binary: program})
	if _, err := c.Invoke(t.Context(), nil); err == nil || !strings.Contains(err.Error(), program) {
		t.Error(err)
	}
}

func TestContextEndsActionInit(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("silent"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Invoke(ctx, nil); !errors.Is(err, context.DeadlineExceeded) || c.Pid() != 0 {
		t.Error(err)
	}
}

func TestContextEndsActivation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c := openContainer(t, testAction("action"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, _ = g.Accept(); cancel() }()
	if _, err := c.Invoke(ctx, []byte(`{"Do":"hold","Arg":"`+g.addr()+`"}`)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	c.expect(host.Cold, 1, false)
}

func TestContextEndedBeforeActivation(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	c.expect(host.Cold, 1, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if _, err := c.Invoke(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	c.expect(host.Warm, 2, true)
}

func TestCrashMidActivation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c := openContainer(t, testAction("action"))
	done := c.start(command{Do: "hold", Arg: g.addr()})
	g.arrival()
	c.Crash()
	if got := <-done; got.err != nil || got.FunctionError == nil || got.FunctionError.Type != host.ErrorExit || !got.Died {
		t.Errorf("%+v", got)
	}
	c.expect(host.Cold, 1, false)
}

func TestCrashTakesTheActionsChildren(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c := openContainer(t, testAction("action"))
	c.invoke(command{Do: "child", Arg: g.addr()})
	child := g.arrival()
	c.Crash()
	awaitDeath(t, child)
}

func TestConcurrentActivationsTakeTurns(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	const n = 20
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := c.Invoke(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c.expect(host.Warm, n+1, true)
}

func TestContainersShareNothing(t *testing.T) {
	t.Parallel()
	one, other := openContainer(t, testAction("action")), openContainer(t, testAction("action"))
	one.expect(host.Cold, 1, false)
	other.expect(host.Cold, 1, false)
	one.expect(host.Warm, 2, true)
}

func TestCloseContainer(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c := openContainer(t, testAction("action"))
	c.invoke(command{Do: "child", Arg: g.addr()})
	child := g.arrival()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	awaitDeath(t, child)
	if _, err := os.Stat(filepath.Dir(c.Tmp())); !errors.Is(err, fs.ErrNotExist) || c.Pid() != 0 {
		t.Errorf("pid %d, temporary files: %v", c.Pid(), err)
	}
	if _, err := c.Invoke(t.Context(), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Invoke after Close: %v", err)
	}
}

func TestCloseContainerMidActivation(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	c := openContainer(t, testAction("action"))
	done := c.start(command{Do: "hold", Arg: g.addr()})
	held := g.arrival()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-done; !errors.Is(got.err, os.ErrClosed) {
		t.Errorf("%+v", got)
	}
	awaitDeath(t, held)
}

func TestNothingToDoWithoutContainer(t *testing.T) {
	t.Parallel()
	c := openContainer(t, testAction("action"))
	c.freeze()
	c.thaw()
	c.Crash()
	c.expect(host.Cold, 1, false)
}

func TestActionLogs(t *testing.T) {
	t.Parallel()
	var written logs
	w := testAction("action")
	w.Logs = &written
	c := openContainer(t, w)
	c.invoke(command{Do: "print", Arg: "hello"})
	c.invoke(command{Do: "panic", Arg: "boom"}) // which flushes
	if got := written.String(); !strings.HasPrefix(got, "hello\n") || !strings.Contains(got, "boom") {
		t.Errorf("logs %q", got)
	}
}

// An executable that is not written in Go.
func TestShellAction(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "exec")
	const code = `#!/bin/sh
test -n "$__OW_WAIT_FOR_ACK" && echo '{"ok":true}' >&3
while read -r line; do
	n=$((n+1))
	echo "got $line"
	echo '{"n":'$n'}' >&3
done
`
	writeProgram(t, script, code)
	c := openContainer(t, host.OpenWhisk{Binary: script})
	for n := range 3 {
		res, err := c.Invoke(t.Context(), []byte(`{"s":"\n"}`))
		if want := fmt.Sprintf(`{"n":%d}`, n+1); err != nil || string(res.Payload) != want {
			t.Errorf("%s, %v, %v", res.Payload, res.FunctionError, err)
		}
	}
}

// The images for Go compare exec.env with their OW_EXECUTION_ENV.
func TestImage(t *testing.T) {
	t.Parallel()
	const image = "openwhisk/action-golang-v1.24"
	for name, tt := range map[string]struct{ file, mentions string }{
		"right":         {image, ""},
		"missing":       {"", "exec.env: no such file or directory"},
		"other version": {"openwhisk/action-golang-v1.23", "version mismatch"},
		"newline":       {image + "\n", "version mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := testAction("action")
			w.Binary = filepath.Join(dir, "exec")
			w.Env = append(w.Env, "__OW_EXECUTION_ENV="+image)
			if err := os.Symlink(os.Args[0], w.Binary); err != nil {
				t.Fatal(err)
			}
			if tt.file != "" {
				if err := os.WriteFile(filepath.Join(dir, "exec.env"), []byte(tt.file), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			res := openContainer(t, w).invoke(command{})
			f := res.FunctionError
			if tt.mentions == "" {
				if f != nil {
					t.Error(f)
				}
				return
			}
			if f == nil || f.Type != host.ErrorStart || !res.InitFailed || !strings.HasPrefix(f.Message, "Cannot start action. Check logs for details.") ||
				!strings.Contains(f.Message, tt.mentions) {
				t.Errorf("%+v, %v", res, f)
			}
		})
	}
}

// An ActionLoop that does not acknowledge its start is accepted if the variable
// does not require it.
func TestNoAcknowledgement(t *testing.T) {
	t.Parallel()
	w := testAction("action")
	w.Env = append(w.Env, "__OW_WAIT_FOR_ACK=")
	c := openContainer(t, w)
	c.expect(host.Cold, 1, false)
	c.expect(host.Warm, 2, true)
}
