package boot

import (
	"encoding/hex"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Read returns the ID of this boot and the time of its monotonic clock in nanoseconds.
// All processes on a machine share both. A zero ID means that they are unknown.
func Read() (id [16]byte, mono int64) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id, 0
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	var ts unix.Timespec
	if err != nil || len(b) != len(id) || unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return id, 0
	}
	return [16]byte(b), ts.Nano()
}
