//go:build !linux

package servers

import "syscall"

// dieWithParent has no means here: the end of the test does it alone.
func dieWithParent() *syscall.SysProcAttr { return nil }
