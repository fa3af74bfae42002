package origin

import (
	"syscall"
	"testing"
)

// A stopped child cannot notice anything: only the kernel can end it. Its socket goes on taking connections until then.
func TestStoppedChildDiesWithItsParent(t *testing.T) {
	parent, endpoint, child := startParent(t)
	if err := child.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child's end", func() bool { return !isListening(endpoint) })
}
