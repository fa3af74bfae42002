//go:build unix && !linux

package host

import (
	"os"
	"os/exec"
	"syscall"
)

func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func killAll(p *os.Process, _ string) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
}
