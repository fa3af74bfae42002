package objecttest

import "time"

// SetPatience sets how long a call may take, and returns what it was.
func SetPatience(d time.Duration) time.Duration {
	before := patience
	patience = d
	return before
}
