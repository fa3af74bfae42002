package redistier

import "syscall"

// dieWithTests has a server end when the tests do, however they end.
func dieWithTests() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
