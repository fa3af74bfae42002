//go:build unix

package filecache

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// errnoName returns the name of an errno, as in <errno.h>.
func errnoName(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return "other"
}
