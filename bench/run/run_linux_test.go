package run

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/compare"
)

// The test binary is also the command, for tests of its exit status and of signals,
// and the S3 server of the origins.
func TestMain(m *testing.M) {
	attempts = 1000
	origin.ServeIfChild()
	if os.Getenv("RUN_TEST_COMMAND") != "" {
		compare.Exit("bench", Command(context.Background(), os.Args[1:], os.Stdout))
	}
	var err error
	if programs, err = os.MkdirTemp("", "programs"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(programs)
		os.Exit(code)
	}))
}

var programs string // where the tests build

var built = map[string]string{}

// build builds a program that does not use the library, once.
func build(t *testing.T, name string, env ...string) (binary string) {
	t.Helper()
	key := fmt.Sprint(name, env)
	if built[key] != "" {
		return built[key]
	}
	binary = filepath.Join(programs, fmt.Sprint(len(built)), "bootstrap")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./testdata/"+name)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	built[key] = binary
	return binary
}

// patient are limits for functions that end in time on a busy machine as well. A forced
// time-out has its own limit.
var patient = []string{"-timeout", "60s", "-init-timeout", "60s"}

// command runs the command as from a command line, and returns its rows by state.
func command(t *testing.T, args ...string) (rows map[result.State]result.Row, out string) {
	t.Helper()
	rows, out, err := tryCommand(t, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return rows, out
}

// tryCommand is command, and also returns errors of the function.
func tryCommand(t *testing.T, args ...string) (rows map[result.State]result.Row, out string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rows.json")
	var b bytes.Buffer
	err = Command(t.Context(), slices.Concat([]string{"-json", file}, patient, args), &b)
	noProcess(t)
	content, rerr := os.ReadFile(file)
	if rerr != nil {
		t.Fatal(rerr, err)
	}
	var f result.File
	if err := json.Unmarshal(content, &f); err != nil {
		t.Fatal(err)
	}
	rows = map[result.State]result.Row{}
	for _, r := range f.Rows {
		rows[r.State] = r
		if !strings.Contains(b.String(), string(r.State)) {
			t.Errorf("the table lacks %s:\n%s", r.State, b.String())
		}
	}
	return rows, b.String(), err
}

func expect(t *testing.T, rows map[result.State]result.Row, want map[result.State]int) {
	t.Helper()
	for state, n := range want {
		if r := rows[state]; r.N != n || len(r.Samples) != n || n > 0 && (r.P50 == nil || *r.P50 <= 0) || r.OriginCalls != nil {
			t.Errorf("%s: %+v, want %d samples", state, r, n)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d states, want %d: %v", len(rows), len(want), rows)
	}
}

func TestLambda(t *testing.T) {
	rows, out := command(t, "-rounds", "4", "-warm", "2", "-concurrency", "3", "-env", "GREETING=hi", "--", build(t, "hello"))
	expect(t, rows, map[result.State]int{
		result.Cold:       4 + timedOutRounds + 1,
		result.Warm:       4 * 2,
		result.Thawed:     4,
		result.Restarted:  4,
		result.TimedOut:   timedOutRounds,
		result.Concurrent: 3 * 4,
	})
	if strings.Contains(out, "differed from the first") || strings.Contains(out, "Errors of the function") {
		t.Error(out)
	}
}

func TestOpenWhisk(t *testing.T) {
	rows, _ := command(t, "-host", "openwhisk", "-rounds", "2", "--", build(t, "actionloop"))
	expect(t, rows, map[result.State]int{
		result.Cold:     2 + 2,
		result.Warm:     2 * 5,
		result.Thawed:   2,
		result.TimedOut: 2,
	})
}

// The function's failures are counted and printed, and do not end the run.
func TestFindings(t *testing.T) {
	events := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(events, []byte("\ufeff{\"name\":\"ann\"}\n\n{\"fail\":true}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rows, out, err := tryCommand(t, "-rounds", "2", "-warm", "3", "-events", events, "-env", "COUNT=1", "--", build(t, "hello"))
	if r := rows[result.Warm]; r.N != 3 || r.Errors != 3 {
		t.Errorf("%+v", r)
	}
	if err == nil || !strings.Contains(err.Error(), "answers differed from the first") {
		t.Error(err)
	}
	for _, want := range []string{"warm: errorString: there is no such customer", `{"name":"ann"}` + "\n    -> \"1\""} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

func TestErrors(t *testing.T) {
	hello, action := build(t, "hello"), build(t, "actionloop")
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"nothing":        {nil, []string{"no program given"}},
		"missing":        {[]string{filepath.Join(dir, "none")}, []string{"there is no", "none", "go build"}},
		"directory":      {[]string{dir}, []string{dir, "is a directory"}},
		"not executable": {[]string{file("plain", "x", 0o644)}, []string{"is not executable", "chmod +x"}},
		"zip":            {[]string{file("f.zip", "PK\x03\x04...", 0o644)}, []string{"is a zip"}},
		"no program":     {[]string{file("text", "hello", 0o755)}, []string{"not an executable for this machine"}},
		"no interpreter": {[]string{file("script", "#!"+filepath.Join(dir, "none")+"\n", 0o755)}, []string{"interpreter", "is missing"}},
		"architecture":   {[]string{build(t, "actionloop", "GOARCH="+other)}, []string{"not an executable for this machine", "GOARCH=" + runtime.GOARCH}},
		"silent":         {[]string{"-init-timeout", "300ms", "-env", "INIT=hang", hello}, []string{"silent", "lambda.Start", "-host openwhisk"}},
		"dies":           {[]string{"-env", "INIT=die", hello}, []string{"ended before its first event", "DATABASE_URL is not set", "-env"}},
		"action":         {[]string{action}, []string{"-host openwhisk"}},
		"lambda":         {[]string{"-host", "openwhisk", hello}, []string{"expected AWS Lambda environment", "leave out -host openwhisk"}},
		"babbles":        {[]string{"-host", "openwhisk", "-env", "INIT=babble", action}, []string{"does not speak the ActionLoop", "hello"}},
		"host":           {[]string{"-host", "azure", hello}, []string{"azure", "lambda or openwhisk"}},
		"concurrency":    {[]string{"-host", "openwhisk", "-concurrency", "2", action}, []string{"one activation at a time"}},
		"rounds":         {[]string{"-rounds", "0", hello}, []string{"-rounds is 0"}},
		"warm":           {[]string{"-warm", "-1", hello}, []string{"-warm is -1"}},
		"timeout":        {[]string{"-timeout", "-1s", hello}, []string{"-timeout is -1s"}},
		"memory":         {[]string{"-memory", "0", hello}, []string{"-memory is 0"}},
		"env":            {[]string{"-env", "RUN_TEST_NO_SUCH", hello}, []string{"RUN_TEST_NO_SUCH", "KEY=VALUE"}},
		"late flag":      {[]string{hello, "-rounds", "1"}, []string{"-rounds", "before the program"}},
		"late flag =":    {[]string{hello, "--rounds=1"}, []string{"-rounds", "before the program"}},
		"bucket":         {[]string{"-s3", "b=" + filepath.Join(dir, "none"), hello}, []string{"-s3", "directory"}},
		"database":       {[]string{"-db", "X=secret", hello}, []string{"-db X", "URL"}},
		"no events":      {[]string{"-events", file("empty", "\n", 0o644), hello}, []string{"holds no event"}},
		"bad events":     {[]string{"-events", file("bad", "{}\n{oops\n", 0o644), hello}, []string{"bad:2 is not JSON", "{oops"}},
		"events missing": {[]string{"-events", filepath.Join(dir, "none"), hello}, []string{"-events", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := Command(t.Context(), tt.args, new(bytes.Buffer))
			if err == nil {
				t.Fatal("there is no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it does not say %q: %v", want, err)
				}
			}
		})
	}
}
