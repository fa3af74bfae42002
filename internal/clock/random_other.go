//go:build !linux

package clock

import "math/rand/v2"

// randomUint64 need not differ between snapshots of a process here.
func randomUint64() uint64 { return rand.Uint64() }
