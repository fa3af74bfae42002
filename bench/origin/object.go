package origin

import "math/rand/v2"

// Object returns size bytes that depend on size and seed alone and do not compress: the same on every machine.
func Object(size int, seed byte) []byte {
	object := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(object) // never fails
	return object
}
