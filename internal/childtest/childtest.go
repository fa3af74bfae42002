// Package childtest runs a test binary again as a child process, which the test
// can kill and stop.
package childtest

import (
	"os"
	"os/exec"
)

// Command returns the command that runs this test binary. Where it is emulated,
// WARMCACHE_TEST_EMULATOR names the emulator: the kernel cannot start it alone.
func Command() *exec.Cmd {
	if emulator := os.Getenv("WARMCACHE_TEST_EMULATOR"); emulator != "" {
		return exec.Command(emulator, os.Args[0])
	}
	return exec.Command(os.Args[0])
}
