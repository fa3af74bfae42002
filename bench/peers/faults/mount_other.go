//go:build !linux

package main

import "errors"

var errNoMount = errors.New("a file system of its own needs Linux")

func (w *world) mount(int) (func() error, error) { return nil, errNoMount }

func (w *world) remount(int) error { return errNoMount }
