//go:build !linux

package postgrestest

import "syscall"

// attributes are those of a process of one's own.
func attributes(int, int) *syscall.SysProcAttr { return nil }
