package checktest

import "syscall"

// attributes make the kernel end the server with the test.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
