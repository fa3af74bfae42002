//go:build !linux

package childtest

import (
	"os/exec"
	"syscall"
)

// DieWithParent does nothing: only Linux ends a child with its parent.
func DieWithParent(*exec.Cmd, syscall.Signal) {}
