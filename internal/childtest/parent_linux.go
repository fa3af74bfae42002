package childtest

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes the kernel send s to cmd's child when the thread that started it
// ends. So the child dies even if its parent is killed. Call it before cmd is started. It
// keeps the other fields of cmd.SysProcAttr. On systems other than Linux it does nothing.
//
// A goroutine that starts a child must lock its thread for as long as the child lives,
// unless the threads of the process never end.
func DieWithParent(cmd *exec.Cmd, s syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = s
}
