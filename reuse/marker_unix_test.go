//go:build unix

package reuse

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
)

const planting = true

func TestPipeAsMarker(t *testing.T) {
	inNewContainer(t)
	if err := syscall.Mkfifo(markerFile(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := New().Begin().Start; got != Unknown { // and it did not wait for a writer
		t.Error(got)
	}
}

func TestMarkerIsPrivate(t *testing.T) {
	inNewContainer(t)
	New().Begin()
	fi, err := os.Lstat(markerFile())
	if err != nil || fi.Mode() != fs.FileMode(0o600) {
		t.Errorf("%v, %v", fi, err)
	}
}

// A process killed between making the marker and writing it.
func TestEmptyMarker(t *testing.T) {
	inNewContainer(t)
	touch(markerFile())
	if got := New().Begin().Start; got != Restarted {
		t.Error(got)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("needs a user other than root")
	}
	tmp := inNewContainer(t)
	if err := os.Chmod(tmp, 0o500); err != nil {
		t.Fatal(err)
	}
	if got := New().Begin().Start; got != Unknown {
		t.Error(got)
	}
}
