package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/warmcache/warmcache/bench/host"
)

func init() {
	roles["extension"] = extensionProcess
	roles["sigterm"] = func() {
		lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() {
			record("SIGTERM")
			if os.Getenv("EXTENSION") != "hangs" {
				os.Exit(0)
			}
		}))
	}
}

// record appends to the journal, which outlives the process.
func record(line string) {
	f, err := os.OpenFile(os.Getenv("JOURNAL"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, line)
}

// extensionProcess is an external extension that records each event.
func extensionProcess() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2020-01-01/extension/"
	call := func(method, path, key, value, body string) *http.Response {
		req, _ := http.NewRequest(method, api+path, strings.NewReader(body))
		req.Header.Set(key, value)
		res, err := http.DefaultClient.Do(req)
		if err != nil || res.StatusCode != http.StatusOK {
			panic(fmt.Sprint(path, res, err))
		}
		return res
	}
	if os.Getenv("EXTENSION") == "unregistered" {
		os.Exit(9)
	}
	id := call("POST", "register", "Lambda-Extension-Name", os.Args[1], `{"events":["INVOKE","SHUTDOWN"]}`).Header.Get("Lambda-Extension-Identifier")
	for {
		var event map[string]any
		if err := json.NewDecoder(call("GET", "event/next", "Lambda-Extension-Identifier", id, "").Body).Decode(&event); err != nil {
			panic(err)
		}
		record(fmt.Sprint(event["eventType"], " ", event["requestId"], event["shutdownReason"]))
		switch {
		case event["eventType"] == "SHUTDOWN":
			if os.Getenv("EXTENSION") == "hangs" {
				select {}
			}
			os.Exit(0)
		case os.Getenv("EXTENSION") == "dies":
			os.Exit(9)
		case os.Getenv("EXTENSION") == "slow":
			hold(os.Getenv("GATE"))
		}
	}
}

// withExtension starts an environment with an external extension, and returns a
// function that reads its records.
func withExtension(t testing.TB, role string, env ...string) (l host.Lambda, journal func() string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "recorder")
	script := fmt.Sprintf("#!/bin/sh\n%s=extension exec %s recorder\n", roleVariable, os.Args[0])
	writeProgram(t, program, script)
	l = testFunction(role)
	l.Extensions = []string{program}
	l.Env = append(append(l.Env, "JOURNAL="+filepath.Join(dir, "journal")), env...)
	return l, func() string {
		b, _ := os.ReadFile(filepath.Join(dir, "journal"))
		return string(bytes.TrimSpace(b))
	}
}

func TestExternalExtension(t *testing.T) {
	t.Parallel()
	l, journal := withExtension(t, "function")
	e := open(t, l)
	first := e.expect(host.Cold, 1, false)
	e.freeze()
	second := e.expect(host.Thawed, 2, true)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("INVOKE %s<nil>\nINVOKE %s<nil>\nSHUTDOWN <nil>spindown", first.RequestID, second.RequestID)
	if got := journal(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// When a process dies or is killed by a time-out, the environment's extensions are
// told the reason and end. Each process has new ones.
func TestExtensionSeesTheEnd(t *testing.T) {
	t.Parallel()
	for do, reason := range map[string]string{"exit": "failure", "hold": "timeout"} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			patiently(t, func(t testing.TB, timeout time.Duration) {
				l, journal := withExtension(t, "function")
				l.Timeout = timeout
				e := open(t, l)
				if res := e.invoke(command{Do: do, Arg: newGate(t).addr()}); !res.Died {
					t.Errorf("%+v", res)
				}
				if got := journal(); !strings.HasSuffix(got, "SHUTDOWN <nil>"+reason) {
					t.Error(got)
				}
				e.expect(host.Restarted, 1, true)
				if got := journal(); strings.Count(got, "INVOKE") != 2 {
					t.Error(got)
				}
			})
		})
	}
}

// A freeze at that moment does not delay the end.
func TestFreezeDoesNotStopTheEnd(t *testing.T) {
	t.Parallel()
	patiently(t, func(t testing.TB, timeout time.Duration) {
		l, journal := withExtension(t, "sigterm")
		l.Timeout = timeout
		g := newGate(t)
		e := open(t, l)
		done := e.start(command{Do: "hold", Arg: g.addr()})
		g.arrival()
		for {
			e.freeze()
			select {
			case got := <-done:
				if got.err != nil || !got.Died {
					t.Errorf("%+v", got)
				}
				if got := journal(); !strings.Contains(got, "SIGTERM") || !strings.HasSuffix(got, "SHUTDOWN <nil>timeout") {
					t.Error(got)
				}
				return
			default:
			}
		}
	})
}

// An invocation ends when the extensions have finished with it.
func TestInvocationWaitsForExtensions(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	l, _ := withExtension(t, "function", "EXTENSION=slow", "GATE="+g.addr())
	e := open(t, l)
	done := e.start(command{})
	held := g.arrival()
	select {
	case got := <-done:
		t.Errorf("%+v", got)
	case <-time.After(100 * time.Millisecond):
	}
	held.Close()
	if got := <-done; got.err != nil || got.FunctionError != nil {
		t.Errorf("%+v", got)
	}
}

func TestExtensionFails(t *testing.T) {
	t.Parallel()
	for how, inInit := range map[string]bool{"unregistered": true, "dies": false} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l, _ := withExtension(t, "function", "EXTENSION="+how)
			e := open(t, l)
			res := e.invoke(command{})
			f := res.FunctionError
			if !inInit && f == nil { // it answered before
				if f = e.invoke(command{}).FunctionError; f != nil && f.Type != "Extension.Crash" {
					t.Error(f)
				}
				return
			}
			if f == nil || f.Type != "Extension.Crash" || res.InitFailed != inInit || !res.Died || !strings.Contains(f.Message, "exit status 9") {
				t.Errorf("%+v, %v", res, f)
			}
			if e.Pid() != 0 {
				t.Error("the function is still there")
			}
		})
	}
}

// A function that does not exit after SIGTERM is killed, and an extension that does
// not exit after SHUTDOWN.
func TestExtensionThatHangs(t *testing.T) {
	for grace := 2 * time.Second; ; grace *= 2 { // too short for a busy machine to write the journal
		host.SetExternalShutdown(t, grace)
		l, journal := withExtension(t, "sigterm", "EXTENSION=hangs")
		e := open(t, l)
		res := e.expect(host.Cold, 1, false)
		if err := e.Close(); err != nil || state(t, res.Pid) != "gone" {
			t.Fatal(err, journal())
		}
		want := fmt.Sprintf("INVOKE %s<nil>\nSIGTERM\nSHUTDOWN <nil>spindown", res.RequestID)
		if got := journal(); got == want {
			return
		} else if grace > time.Minute {
			t.Fatalf("%s\nwant\n%s", got, want)
		}
	}
}

// A function that registers an internal extension gets SIGTERM at the end of its
// environment and after a time-out. Other functions get only SIGKILL.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{"sigterm": "SIGTERM", "function": ""} {
		for _, end := range []string{"close", "timeout", "frozen", "crash"} {
			t.Run(role+"/"+end, func(t *testing.T) {
				t.Parallel()
				patiently(t, func(t testing.TB, timeout time.Duration) {
					l, journal := withExtension(t, role)
					l.Extensions = nil
					l.Timeout = timeout
					e := open(t, l)
					e.expect(host.Cold, 1, false)
					want := want
					switch end {
					case "timeout":
						e.invoke(command{Do: "hold", Arg: newGate(t).addr()})
					case "frozen":
						e.freeze()
					case "crash":
						e.Crash()
						want = ""
					}
					if err := e.Close(); err != nil {
						t.Fatal(err)
					}
					if got := journal(); got != want {
						t.Errorf("%q, want %q", got, want)
					}
				})
			})
		}
	}
}
