package host

import (
	"testing"
	"time"
)

// On a busy machine, Lambda's own times are too short for processes that end by
// themselves.
func init() {
	internalShutdown, externalShutdown, drainTime = time.Minute, 2*time.Minute, time.Minute
}

// SetExternalShutdown is for tests that do not run in parallel.
func SetExternalShutdown(t testing.TB, d time.Duration) {
	before := externalShutdown
	externalShutdown = d
	t.Cleanup(func() { externalShutdown = before })
}
