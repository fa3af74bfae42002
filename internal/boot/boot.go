// Package boot tells processes of one machine apart from those of another, and from
// those before its last start.
package boot
