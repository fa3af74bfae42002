//go:build !linux

package host

import (
	"errors"
	"fmt"
	"runtime"
)

func (p *process) reap() {
	_ = p.cmd.Wait() // the state is in cmd.ProcessState
	p.bury()
}

// stopAll needs to know when the process has stopped. Only Linux notifies a parent
// without reaping the process.
func stopAll(int, string) ([]stat, error) {
	return nil, fmt.Errorf("on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func continueAll(int, []stat) error { return nil }

type stat struct{}
