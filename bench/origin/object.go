package origin

import "encoding/binary"

// Object returns size bytes that depend on size and seed alone and do not compress: the same on every machine and in
// every release. 12 MiB take a few milliseconds.
func Object(size int, seed uint64) []byte {
	object := make([]byte, (size+7)&^7) // whole words, cut at the end
	for i := 0; i < len(object); i += 8 {
		seed += 0x9e3779b97f4a7c15
		binary.LittleEndian.PutUint64(object[i:], mix(seed))
	}
	return object[:size:size]
}

// mix is the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). It is written out because it is faster
// than the generators of math/rand/v2, and nothing can change it under us.
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
