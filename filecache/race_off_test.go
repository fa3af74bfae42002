//go:build !race

package filecache

const raceDetector = false
