//go:build !linux

package postgrestest

import "syscall"

// attributes returns nil: other systems do not switch accounts.
func attributes(int, int) *syscall.SysProcAttr { return nil }
