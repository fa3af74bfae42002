package run

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/result"
)

// daemon is the command line of a function's daemon. Its duration tells it from those of
// other runs of these tests.
var daemon = fmt.Sprintf("sleep 3597.%d", os.Getpid())

// noProcess fails the test if a child is left, or something that calls itself a
// function's daemon.
func noProcess(t *testing.T) {
	t.Helper()
	if left := children(); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	if out, _ := exec.Command("pgrep", "-f", daemon+"$").Output(); len(out) > 0 {
		t.Errorf("daemons are left: %s", out)
	}
}

func eventFile(t *testing.T, events ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(events, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// process runs the command as a separate process and returns its exit status.
func process(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], slices.Concat(patient, args)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Env = append(os.Environ(), "RUN_TEST_COMMAND=1", "TMPDIR="+t.TempDir())
	return cmd, &out, &errOut
}

// Scripts are functions too.
func TestScripts(t *testing.T) {
	events := eventFile(t, `{"name":"ann"}`)
	for program, want := range map[string]string{"python": `{"hello": "ann"}`, "shell": `{"echo":{"name":"ann"}}`} {
		t.Run(program, func(t *testing.T) {
			interpreter := map[string]string{"python": "python3", "shell": "curl"}[program]
			if _, err := exec.LookPath(interpreter); err != nil {
				t.Skipf("needs %s", interpreter)
			}
			rows, out := command(t, "-rounds", "1", "-warm", "1", "-env", "PATH", "-events", events, "--", "testdata/scripts/"+program)
			if rows[result.Warm].N != 1 || !strings.Contains(out, "-> "+want) {
				t.Error(out)
			}
		})
	}
}

func TestNothingSecretIsWritten(t *testing.T) {
	t.Setenv("TOKEN", "passed-through-token")
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("# the shop\nSHOP_URL=https://shop:hidden-word@shop.invalid/x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rowsFile := filepath.Join(t.TempDir(), "rows.json")
	cmd, out, errOut := process(t, "-json", rowsFile, "-rounds", "1", "-warm", "1", "-env", "TOKEN", "-env=OTHER=other-secret", "-env-file", file,
		"-db", "DB_URL=postgres://me:data%2Fbase@127.0.0.1:1/x", "-db", "DB_URL2=postgres://127.0.0.1:1/x?password=query-word",
		"-events", eventFile(t, `{"do":"tell"}`), "--", build(t, "raw"), "-password", "argument-secret")
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d: %v", code, err)
	}
	json, err := os.ReadFile(rowsFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"JSON": string(json), "out": out.String(), "messages": errOut.String()} {
		for _, secret := range []string{"passed-through-token", "hidden-word", "other-secret", "argument-secret", "data%2Fbase", "data/base", "query-word"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s:\n%s", name, secret, text)
			}
		}
	}
	if !strings.Contains(string(json), "-env TOKEN -env OTHER -env-file") || !strings.Contains(out.String(), "cannot log in at $SHOP_URL with $TOKEN or postgres://me:$DB_URL@127.0.0.1:") || !strings.Contains(out.String(), "?password=$DB_URL2") {
		t.Errorf("%s\n%s", json, out)
	}
}

func TestHTTPStatus(t *testing.T) {
	for code, wrong := range map[int]bool{200: false, 404: false, 503: true} {
		rows, out, err := tryCommand(t, "-rounds", "1", "-warm", "2", "-events", eventFile(t, fmt.Sprintf(`{"do":"http","status":%d}`, code)), "--", build(t, "raw"))
		if (err != nil) != wrong || strings.Contains(out, fmt.Sprintf("warm: HTTP %d", code)) != (code >= 400) {
			t.Errorf("%d: %v\n%s", code, err, out)
		}
		r := rows[result.Warm]
		if wrong != (r.Errors == 2) || code >= 400 && r.Statuses[code] != 2 || code < 400 && r.Statuses != nil {
			t.Errorf("%d: %+v", code, r)
		}
	}
}

func TestVerboseShowsAllAnswers(t *testing.T) {
	_, out := command(t, "-v", "-rounds", "1", "-warm", "2", "--", build(t, "raw"))
	if n := strings.Count(out, `-> {"hello":"world"}`); n != 1+2+1+1+2 { // cold, warm, thawed, restarted, and around the time-out
		t.Errorf("%d answers\n%s", n, out)
	}
}

func TestExitStatus(t *testing.T) {
	raw := build(t, "raw")
	for name, tt := range map[string]struct {
		args []string
		code int
	}{
		"good":        {[]string{"-rounds", "1", "-warm", "0", "--", raw}, 0},
		"fails":       {[]string{"-rounds", "1", "-warm", "0", "-events", eventFile(t, `{"do":"tell"}`), "--", raw}, 1},
		"wrong usage": {[]string{"-no-such-flag", raw}, 2},
		"no program":  {nil, 2},
		"help":        {[]string{"-h"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cmd, out, errOut := process(t, tt.args...)
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit status %d, want %d\n%s%s", code, tt.code, out, errOut)
			}
			if tt.code == 2 && strings.Count(errOut.String(), "-h ") != 1 || strings.Count(out.String()+errOut.String(), "usage:") > 1 {
				t.Errorf("%s%s", out, errOut)
			}
		})
	}
}

func TestHangs(t *testing.T) {
	for program, event := range map[string]string{"raw": `{"do":"hang"}`, "hello": `{"hang":true}`} { // with one loop, and with four
		t.Run(program, func(t *testing.T) {
			rows, out, err := tryCommand(t, "-rounds", "20", "-timeout", "400ms", "-init-timeout", "10s", "-concurrency", "4", "-events", eventFile(t, event), "--", build(t, program))
			if err == nil || !strings.Contains(out, "invocations in a row timed out") || !strings.Contains(out, "Sandbox.Timedout") || !strings.Contains(out, "busy") {
				t.Errorf("%v\n%s", err, out)
			}
			if r := rows[result.Concurrent]; r.Busy == 0 || r.Busy > 4 || r.Errors > 4 || r.N != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A signal ends the run with the measurements so far, and leaves neither a directory nor a
// process, not even one that has left the function's session.
func TestSignals(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd, out, errOut := process(t, "-rounds", "100000", "-warm", "1", "-events", eventFile(t, fmt.Sprintf(`{"do":"daemon","daemon":%q}`, daemon)), "--", build(t, "raw"))
		stderr, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer stderr.Close()
		cmd.Stderr = stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan struct{})
		go func() { defer close(exited); _ = cmd.Wait() }()
		for invoked := regexp.MustCompile(`life \d+ of.*, [1-9]\d* invocation`); ; {
			b, _ := os.ReadFile(stderr.Name())
			errOut.Reset()
			errOut.Write(b)
			if invoked.Match(b) {
				break
			}
			select {
			case <-exited:
				t.Fatalf("it ended by itself\n%s\n%s", out, errOut)
			case <-time.After(10 * time.Millisecond):
			}
		}
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		<-exited
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(out.String(), "ended early, by an interrupt") || !strings.Contains(out.String(), "cold") {
			t.Errorf("%v: exit status %d\n%s\n%s", s, code, out, errOut)
		}
		for _, v := range cmd.Env {
			if dir, ok := strings.CutPrefix(v, "TMPDIR="); ok && strings.Contains(dir, t.Name()) {
				if left, _ := os.ReadDir(dir); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			}
		}
		noProcess(t)
	}
}

// A start that fails is a failed sample and does not end the run.
func TestStartsThatFail(t *testing.T) {
	raw := build(t, "raw")
	rows, out, err := tryCommand(t, "-rounds", "3", "-warm", "1", "-env", "START=lock", "--", raw)
	if r := rows[result.Restarted]; r.Errors < 3 || r.N != 0 || rows[result.Cold].N != 6 {
		t.Errorf("%+v", rows)
	}
	if err == nil || !strings.Contains(err.Error(), "restarted") || !strings.Contains(out, "restarted: the start failed: Runtime.ExitError") || !strings.Contains(out, "another one runs") {
		t.Errorf("%v\n%s", err, out)
	}
	rows, out, err = tryCommand(t, "-rounds", "6", "-warm", "1", "-env", "START=seventh", "-env", "COUNTER="+filepath.Join(t.TempDir(), "n"), "--", raw)
	if failed := rows[result.Cold].Errors + rows[result.Restarted].Errors + rows[result.TimedOut].Errors; err != nil || failed == 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestStreamsAndHandler(t *testing.T) {
	rows, out := command(t, "-rounds", "1", "-warm", "1", "-events", eventFile(t, `{"do":"stream"}`), "--", build(t, "raw"))
	if r := rows[result.Warm]; r.FirstByte == nil || *r.FirstByte >= *r.P50 || !strings.Contains(out, "first byte") {
		t.Errorf("%+v\n%s", r, out)
	}
	_, out = command(t, "-rounds", "1", "-warm", "0", "-handler", "function.handler", "-events", eventFile(t, `{"do":"handler"}`), "--", build(t, "raw"))
	if !strings.Contains(out, `-> "function.handler"`) {
		t.Error(out)
	}
}

// The user's extensions get their events, and the function's SIGTERM handlers
// run.
func TestExtension(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3")
	}
	journal, hello := filepath.Join(t.TempDir(), "journal"), build(t, "hello")
	var b []byte
	missing := []string{"INVOKE None", "SHUTDOWN spindown", "SHUTDOWN failure", "SHUTDOWN timeout", "SIGTERM"}
	for try := 0; try < 10 && len(missing) > 0; try++ { // on a busy machine Lambda may kill before a line is written
		command(t, "-rounds", "1", "-warm", "1", "-env", "PATH", "-env", "JOURNAL="+journal, "-env", "START=sigterm",
			"-extension", "testdata/scripts/recorder", "--", hello)
		var err error
		if b, err = os.ReadFile(journal); err != nil {
			t.Fatal(err)
		}
		missing = slices.DeleteFunc(missing, func(s string) bool { return strings.Contains(string(b), s) })
	}
	if len(missing) > 0 {
		t.Errorf("no %q in\n%s", missing, b)
	}
}

// An ActionLoop need not acknowledge its start unless the variable requires it, and
// an image's exec.env is checked.
func TestVariablesOfOpenWhisk(t *testing.T) {
	rows, out := command(t, "-host", "openwhisk", "-rounds", "1", "-warm", "1", "-env", "__OW_WAIT_FOR_ACK=", "-env", "INIT=quiet", "--", build(t, "actionloop"))
	if rows[result.Warm].N != 1 {
		t.Error(out)
	}
	err := Command(t.Context(), []string{"-host", "openwhisk", "-env", "__OW_EXECUTION_ENV=openwhisk/action-golang-v1.24", "--", build(t, "actionloop")}, new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "Cannot start action. Check logs for details.") || !strings.Contains(err.Error(), "exec.env") {
		t.Error(err)
	}
}

// The default time-out is the host's own.
func TestDefaults(t *testing.T) {
	for name, want := range map[string]time.Duration{"lambda": 3 * time.Second, "openwhisk": time.Minute} {
		if s, err := parse([]string{"-host", name, "x"}); err != nil || s.timeout != want {
			t.Error(s.timeout, err)
		}
	}
	s, err := parse([]string{"--", "x", "-rounds", "1"})
	if err != nil || len(s.args) != 2 || s.rounds != 20 {
		t.Errorf("%+v, %v", s.args, err)
	}
}

// The user's function finds its files on a real S3 server, and the calls
// are counted.
func TestS3(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b.txt"), []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	rows, out := command(t, "-rounds", "1", "-warm", "2", "-s3", "prices="+dir, "-s3-latency", "5ms", "-env", "BUCKET=prices", "-env", "KEY=a/b.txt", "--", build(t, "s3"))
	r := rows[result.Warm]
	if r.OriginCalls == nil || *r.OriginCalls != 1 || *r.OriginBytes != 10 || *r.P50 < 5 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(out, `-> "0123456789"`) {
		t.Error(out)
	}
}

// A database with any protocol gets the latency of the cloud, and its round trips are
// counted.
func TestDatabase(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // answers each line with itself
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 100)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					c.Write(b[:n])
				}
			}()
		}
	}()
	defer l.Close()
	rows, out := command(t, "-rounds", "1", "-warm", "2", "-db", "DATABASE_URL=echo://me:secret-word@"+l.Addr().String()+"/x", "-db-latency", "7ms", "--", build(t, "database"))
	r := rows[result.Warm]
	if r.OriginCalls == nil || *r.OriginCalls != 2 || *r.P50 < 14 || strings.Contains(out, "secret-word") {
		t.Errorf("%+v\n%s", r, out)
	}
}

// With Plain, Driver compares answers with those of the function without the library.
func TestDriverCompares(t *testing.T) {
	binary := build(t, "hello")
	sandbox := func(env ...string) func() (host.Sandbox, error) {
		return func() (host.Sandbox, error) {
			return host.Lambda{Binary: binary, Env: env, Timeout: time.Minute, InitTimeout: time.Minute}.Environment()
		}
	}
	calls := origin.Counts{}
	d := Driver{Example: "e", Host: "lambda", Warm: 2, Strict: true, Sandbox: sandbox("GREETING=hi"), Plain: sandbox("GREETING=hi"),
		Calls: func() origin.Counts { calls.Calls++; return calls }}
	if err := d.Life(t.Context(), []byte(`{"name":"ann"}`)); err != nil {
		t.Fatal(err)
	}
	n := map[result.State]int{}
	for _, r := range d.Rows() {
		n[r.State] = r.N
		if r.OriginCalls == nil || *r.OriginCalls != 1 {
			t.Errorf("%+v", r)
		}
	}
	want := map[result.State]int{result.NoCacheCold: 1, result.NoCache: 1, result.Cold: 1, result.Warm: 2, result.Thawed: 1, result.Restarted: 1}
	if fmt.Sprint(n) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", n, want)
	}
	d.Plain = sandbox("GREETING=ho")
	if err := d.Life(t.Context(), []byte(`{"name":"bob"}`)); err == nil || !strings.Contains(err.Error(), "cold: event") || !strings.Contains(err.Error(), "differs") {
		t.Error(err)
	}
	err := d.Life(t.Context(), []byte(`{"fail":true}`))
	var f *host.FunctionError
	if !errors.As(err, &f) {
		t.Error(err)
	}
}
