package reuse

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// With this variable set the test binary is a function's process: it begins an
// invocation and prints its start.
const processVariable = "REUSE_TEST_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(processVariable) != "" {
		os.Stdout.WriteString(New().Begin().Start.String())
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process runs a new process in the container whose directory for temporary
// files is tmp.
func process(t *testing.T, tmp string, env ...string) string {
	t.Helper()
	cmd := childtest.Command()
	cmd.Env = append([]string{processVariable + "=1", "GORACE=atexit_sleep_ms=0", "TMPDIR=" + tmp, "TMP=" + tmp, "SystemRoot=" + os.Getenv("SystemRoot")}, env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// inNewContainer gives the test a directory for temporary files of its own.
func inNewContainer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	return dir
}

func newTestRecorder(t *testing.T) (*Recorder, *clocktest.Clocks) {
	t.Helper()
	inNewContainer(t)
	clocks := clocktest.New()
	return newRecorder(clocks.Clock()), clocks
}

func move(c *clocktest.Clocks, d time.Duration) { c.Move(d, d) }
