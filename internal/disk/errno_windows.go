package disk

import (
	"strconv"
	"syscall"
)

// ErrnoName returns a name of an error of the system.
func ErrnoName(e syscall.Errno) string { return "error " + strconv.Itoa(int(e)) }
