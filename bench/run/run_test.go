package run

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/bench/result"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// build builds a foreign program.
func build(t *testing.T, name string, env ...string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./testdata/"+name)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// command runs it as from a command line, and returns its rows by state.
func command(t *testing.T, args ...string) (rows map[result.State]result.Row, out string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rows.json")
	var b bytes.Buffer
	if err := Command(t.Context(), append([]string{"-json", file}, args...), &b); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
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
	return rows, b.String()
}

func needsLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("freezing a process needs Linux")
	}
}

func expect(t *testing.T, rows map[result.State]result.Row, want map[result.State]int) {
	t.Helper()
	for state, n := range want {
		if r := rows[state]; r.N != n || len(r.Samples) != n || n > 0 && r.P50 <= 0 {
			t.Errorf("%s: %+v, want %d samples", state, r, n)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d states, want %d: %v", len(rows), len(want), rows)
	}
}

func TestLambda(t *testing.T) {
	needsLinux(t)
	rows, out := command(t, "-rounds", "4", "-warm", "2", "-timeout", "300ms", "-concurrency", "3", "-env", "GREETING=hi", "--", build(t, "hello"))
	expect(t, rows, map[result.State]int{
		result.Cold:       4 + timedOutRounds + 1,
		result.Warm:       4 * 2,
		result.Thawed:     4,
		result.Restarted:  4,
		result.TimedOut:   timedOutRounds,
		result.Concurrent: 3 * 4,
	})
	if strings.Contains(out, "were not the first") || strings.Contains(out, "Errors of the function") {
		t.Error(out)
	}
}

func TestOpenWhisk(t *testing.T) {
	needsLinux(t)
	rows, _ := command(t, "-host", "openwhisk", "-rounds", "2", "-timeout", "300ms", "--", build(t, "actionloop"))
	expect(t, rows, map[result.State]int{
		result.Cold:     2*2 + 2, // there is a new container after a crash
		result.Warm:     2 * 5,
		result.Thawed:   2,
		result.TimedOut: 2,
	})
}

// What the function does wrong is counted and told, and ends nothing.
func TestFindings(t *testing.T) {
	needsLinux(t)
	events := filepath.Join(t.TempDir(), "events.jsonl")
	if err := os.WriteFile(events, []byte("\ufeff{\"name\":\"ann\"}\n\n{\"fail\":true}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rows, out := command(t, "-rounds", "2", "-warm", "3", "-timeout", "300ms", "-events", events, "-env", "COUNT=1", "--", build(t, "hello"))
	if r := rows[result.Warm]; r.N != 3 || r.Errors != 3 {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{"there is no such customer", "answers were not the first one"} {
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
		"no program":     {[]string{file("text", "hello", 0o755)}, []string{"no program that this machine can run"}},
		"no interpreter": {[]string{file("script", "#!"+filepath.Join(dir, "none")+"\n", 0o755)}, []string{"interpreter", "not there"}},
		"architecture":   {[]string{build(t, "actionloop", "GOARCH="+other)}, []string{"built for", other, "GOARCH=" + runtime.GOARCH}},
		"silent":         {[]string{"-init-timeout", "300ms", "-env", "INIT=hang", hello}, []string{"silent", "lambda.Start", "-host openwhisk"}},
		"dies":           {[]string{"-env", "INIT=die", hello}, []string{"ended before its first event", "DATABASE_URL is not set", "-env"}},
		"action":         {[]string{action}, []string{"-host openwhisk"}},
		"lambda":         {[]string{"-host", "openwhisk", hello}, []string{"expected AWS Lambda environment", "leave out -host openwhisk"}},
		"babbles":        {[]string{"-host", "openwhisk", "-env", "INIT=babble", action}, []string{"does not speak the ActionLoop", "hello"}},
		"host":           {[]string{"-host", "azure", hello}, []string{"azure", "lambda or openwhisk"}},
		"concurrency":    {[]string{"-host", "openwhisk", "-concurrency", "2", action}, []string{"one activation at a time"}},
		"rounds":         {[]string{"-rounds", "0", hello}, []string{"-rounds is 0"}},
		"warm":           {[]string{"-warm", "-1", hello}, []string{"-warm is -1"}},
		"timeout":        {[]string{"-timeout", "0s", hello}, []string{"-timeout is 0s"}},
		"memory":         {[]string{"-memory", "0", hello}, []string{"-memory is 0"}},
		"env":            {[]string{"-env", "X", hello}, []string{"KEY=VALUE"}},
		"no events":      {[]string{"-events", file("empty", "\n", 0o644), hello}, []string{"holds no event"}},
		"bad events":     {[]string{"-events", file("bad", "{}\n{oops\n", 0o644), hello}, []string{"bad:2 is not JSON", "{oops"}},
		"events missing": {[]string{"-events", filepath.Join(dir, "none"), hello}, []string{"-events", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" {
				t.Skip("needs the modes of Unix")
			}
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
