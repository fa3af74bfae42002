package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// countOnDisk appends one byte to a file; the length is the count. It does not
// read, change and write back a number, so concurrent invocations lose no count,
// and a killed process leaves no partial number.
func countOnDisk() (n int64, err error) {
	f, err := os.OpenFile(counterFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write([]byte{'.'}); err != nil {
		return 0, err
	}
	return f.Seek(0, io.SeekCurrent) // position after this invocation's byte, even if others have appended since
}

// counterFile uses os.TempDir, because not every system has /tmp.
func counterFile() string { return filepath.Join(os.TempDir(), "warmcache-example-counter") }
