package store

// Reason is why there is no usable copy.
type Reason uint8

// The reasons in Stats.
const (
	Absent      Reason = iota // there was no copy
	Evicted                   // this process evicted it
	Invalidated               // this process invalidated it
	Damaged                   // it is damaged, or part of it is missing
	NoDisk                    // the disk failed, or the breaker is open
)
