package httpsource

import "time"

// SetBackoff sets the wait before a second attempt and returns the one before.
func SetBackoff(d time.Duration) time.Duration {
	before := firstBackoff
	firstBackoff = d
	return before
}
