package main

import (
	"fmt"
	"os"
	"syscall"
)

// mount puts a file system of that size where the directory is to be. It needs
// root.
func (w *world) mount(size int) (unmount func() error, err error) {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", w.dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)); err != nil {
		return nil, err
	}
	return func() error { return syscall.Unmount(w.dir, syscall.MNT_DETACH) }, nil
}

func (w *world) remount(size int) error {
	return syscall.Mount("tmpfs", w.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size))
}
