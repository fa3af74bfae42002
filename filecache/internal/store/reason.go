package store

// Reason is why there is no copy to use.
type Reason uint8

// The reasons that a Store knows.
const (
	Absent      Reason = iota // there was none
	Evicted                   // this process has removed it to make room
	Invalidated               // this process has removed it because of Invalidate
	Damaged                   // it is damaged, or part of it is missing
	NoDisk                    // the disk failed, or is not used after failures
)
