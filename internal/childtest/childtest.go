// Package childtest runs child processes that a test can kill and stop, and that
// do not outlive it.
package childtest

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Command returns the command that runs this test binary. If the binary is emulated,
// WARMCACHE_TEST_EMULATOR names the emulator: the kernel cannot start it alone.
func Command() *exec.Cmd {
	if emulator := os.Getenv("WARMCACHE_TEST_EMULATOR"); emulator != "" {
		return exec.Command(emulator, os.Args[0])
	}
	return exec.Command(os.Args[0])
}

// Tail writes a child's output to To and keeps its last KiB, for the error when the
// child dies. It is safe for concurrent use.
type Tail struct {
	To io.Writer // nil: discard

	mu   sync.Mutex
	last []byte
}

// Write never fails: an error would close the pipe, and the child's next line
// would kill it.
func (t *Tail) Write(p []byte) (int, error) {
	const kept = 1 << 10
	t.mu.Lock()
	t.last = append(t.last, p...)
	t.last = t.last[max(len(t.last)-kept, 0):]
	t.mu.Unlock()
	if t.To != nil {
		_, _ = t.To.Write(p)
	}
	return len(p), nil
}

// String returns the last KiB, without white space around it.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.last))
}
