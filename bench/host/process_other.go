//go:build !unix

package host

import (
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

// killAll kills the process alone: there are no groups here.
func killAll(p *os.Process, _ string) {
	_ = p.Kill()
}
