package host_test

import (
	"os"
	"os/exec"
	"syscall"
)

func init() {
	detach = func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		cmd.Stdout = os.Stdout // which keeps the function's output open
	}
}
