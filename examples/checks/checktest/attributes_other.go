//go:build !linux

package checktest

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }
