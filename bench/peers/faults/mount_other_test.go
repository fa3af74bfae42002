//go:build !linux

package faults

import "errors"

func (w *fixture) mount(int) func() {
	need(errors.New("a file system of its own needs Linux"))
	return nil
}

func (w *fixture) remount(int) {}
