//go:build !linux

package childtest

import (
	"os/exec"
	"syscall"
)

// DieWithParent does nothing, because only Linux can end a child with its parent.
func DieWithParent(*exec.Cmd, syscall.Signal) {}
