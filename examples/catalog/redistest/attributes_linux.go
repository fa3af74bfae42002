package redistest

import "syscall"

// attributes are those of a process that dies with the test.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
