//go:build !unix

package host

import (
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

// killAll kills only the process: this system has no process groups.
func killAll(p *os.Process, _ string) {
	_ = p.Kill()
}
