// Package childtest runs child processes that a test can kill or stop. They do not
// outlive the test.
package childtest

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Command returns a command that runs this test binary. If the binary runs in an
// emulator, WARMCACHE_TEST_EMULATOR must name it, because the kernel cannot start the
// binary directly.
func Command() *exec.Cmd {
	if emulator := os.Getenv("WARMCACHE_TEST_EMULATOR"); emulator != "" {
		return exec.Command(emulator, os.Args[0])
	}
	return exec.Command(os.Args[0])
}

// Tail copies a child's output to To and keeps the last KiB of it for error messages. It
// is safe for concurrent use.
type Tail struct {
	To io.Writer // nil discards the output

	mu   sync.Mutex
	last []byte
}

// Write never fails. An error would close the pipe, and the child's next write would kill
// the child.
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

// String returns the last KiB without surrounding white space.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.last))
}
