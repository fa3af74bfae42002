package filecache

import (
	"strconv"
	"syscall"
)

// errnoName returns a name of an error of the system.
func errnoName(e syscall.Errno) string { return "error " + strconv.Itoa(int(e)) }
