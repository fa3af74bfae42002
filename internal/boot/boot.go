// Package boot identifies the current boot of a machine, so that processes can compare
// their monotonic clocks.
package boot
