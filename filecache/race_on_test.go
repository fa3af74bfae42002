//go:build race

package filecache

const raceDetector = true
