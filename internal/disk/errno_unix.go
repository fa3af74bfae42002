//go:build unix

package disk

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrnoName returns the name of an errno as in <errno.h>.
func ErrnoName(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return "other"
}
