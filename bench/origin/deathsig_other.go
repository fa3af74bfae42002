//go:build !linux

package origin

import "syscall"

// dieWithParent has no means here: the end of the child's standard input does it alone.
func dieWithParent() *syscall.SysProcAttr { return nil }
