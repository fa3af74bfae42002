package flight

import "runtime"

// A new goroutine begins with a stack of 2 KiB, which is copied each time that it
// turns out to be too small. It is cheapest to let it grow while it is empty.

// growStack makes room for calls as deep as those of a database driver.
//
//go:noinline
func growStack() {
	var room [8 << 10]byte
	runtime.KeepAlive(&room)
}

// GrowStack makes room for calls as deep as those of the AWS SDK, some 40 KiB. Without
// it, a small miss of a file takes a third more processor time.
//
//go:noinline
func GrowStack() {
	var room [40 << 10]byte
	runtime.KeepAlive(&room)
}
