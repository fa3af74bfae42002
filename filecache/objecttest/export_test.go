package objecttest

import "time"

// SetPatience sets the time limit of a call and returns the old one.
func SetPatience(d time.Duration) time.Duration {
	before := patience
	patience = d
	return before
}
