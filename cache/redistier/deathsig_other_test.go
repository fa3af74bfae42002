//go:build unix && !linux

package redistier

import "syscall"

func dieWithTests() *syscall.SysProcAttr { return nil }
