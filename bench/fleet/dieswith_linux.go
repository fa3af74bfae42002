package fleet

import "syscall"

// dieWithParent makes the kernel end a child that has lost its parent.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
