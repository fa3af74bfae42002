package origin

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// parentEnv makes the test binary a parent that only starts a server, for the tests that kill it.
const parentEnv = "WARMCACHE_ORIGIN_TEST_PARENT"

func TestMain(m *testing.M) {
	ServeIfChild()
	if os.Getenv(parentEnv) != "" {
		beParent()
	}
	goleak.VerifyTestMain(m)
}

// beParent starts a server, prints its address and process, and runs until it is killed.
func beParent() {
	s, err := StartS3(context.Background(), os.Getenv(parentEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.Endpoint(), s.process.cmd.Process.Pid)
	select {}
}

// deadline bounds waits that mostly end at once: long enough for a machine under any load.
const deadline = time.Minute

func newContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

func newS3(t testing.TB, o childConfig) *S3 {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := startS3(newContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newGate(t testing.TB, target string, o GateOptions) *Gate {
	t.Helper()
	g, err := StartGate(target, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// waitFor fails the test if the channel does not close in time.
func waitFor(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(deadline):
		t.Fatalf("waited in vain for %s", what)
	}
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, isSo func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !isSo(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
