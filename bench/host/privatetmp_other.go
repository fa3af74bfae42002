//go:build !linux

package host

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
)

// privateTmp needs mount namespaces, which only Linux has.
func privateTmp(*exec.Cmd, string) func() error {
	return func() error {
		return fmt.Errorf("private /tmp on %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
}

func onMainThread() bool { return false }
