package disk

import (
	"strconv"
	"syscall"
)

// ErrnoName returns a name for a system error.
func ErrnoName(e syscall.Errno) string { return "error " + strconv.Itoa(int(e)) }
