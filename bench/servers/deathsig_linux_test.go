package servers

import "syscall"

// dieWithParent makes the kernel kill the child when its parent is gone, also a child that hangs.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
