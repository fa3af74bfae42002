//go:build !unix

package host

import (
	"os"
	"os/exec"
)

func isolate(*exec.Cmd) {}

// killGroup kills the process alone: there are no groups here.
func killGroup(p *os.Process) {
	_ = p.Kill()
}
