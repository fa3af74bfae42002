package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// countOnDisk counts in a file that gets one byte longer each time. Nothing is
// read, changed and written back: two invocations at once cannot lose a count,
// and a process that is killed leaves no half of a number.
func countOnDisk() (n int64, err error) {
	f, err := os.OpenFile(counterFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write([]byte{'.'}); err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekCurrent) // behind the byte of this invocation, whatever others have appended since
}

// counterFile must not say "/tmp": os.TempDir does, where it is right.
func counterFile() string { return filepath.Join(os.TempDir(), "warmcache-example-counter") }
