package clock

import "sync/atomic"

var testRandom atomic.Pointer[func() uint64]

// Random returns a random number from the kernel, for names and numbers that must
// differ in all processes. The state of math/rand/v2 is a part of a snapshot, so
// processes that are restored from the same one would draw the same names.
func Random() uint64 {
	if f := testRandom.Load(); f != nil {
		return (*f)()
	}
	return randomUint64()
}

// TestRandom makes f the source of Random, for tests of processes that draw the same
// numbers.
func TestRandom(f func() uint64) { testRandom.Store(&f) }
