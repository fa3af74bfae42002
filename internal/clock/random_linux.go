package clock

import (
	"encoding/binary"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

// randomUint64 reads from the kernel, which is notified when a machine is restored
// from a snapshot. crypto/rand would work too, but adds 190 KB to the binary.
func randomUint64() uint64 {
	var b [8]byte
	if n, err := unix.Getrandom(b[:], unix.GRND_NONBLOCK); n != len(b) || err != nil {
		return rand.Uint64() // early at boot, or forbidden by a sandbox
	}
	return binary.NativeEndian.Uint64(b[:])
}
