package faults

import (
	"fmt"
	"os"
	"syscall"
)

// mount mounts a file system of that size on the library's directory. It needs root.
func (w *fixture) mount(size int) (unmount func()) {
	need(os.MkdirAll(w.dir, 0o700))
	need(syscall.Mount("tmpfs", w.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)))
	return func() { syscall.Unmount(w.dir, syscall.MNT_DETACH) }
}

func (w *fixture) remount(size int) {
	need(syscall.Mount("tmpfs", w.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)))
}
