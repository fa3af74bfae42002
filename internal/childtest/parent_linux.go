package childtest

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes the kernel send s to the child of cmd, which has not been
// started, when the thread that starts it ends; so the child dies even if its parent is
// killed. It keeps the other fields of cmd.SysProcAttr. On systems other than Linux it
// does nothing.
//
// A goroutine that starts a child in a process whose threads come and go must lock its
// thread for as long as the child lives.
func DieWithParent(cmd *exec.Cmd, s syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = s
}
