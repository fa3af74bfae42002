package httpsource

import "time"

// SetBackoff sets the wait before a second attempt and returns the previous one.
func SetBackoff(d time.Duration) time.Duration {
	before := firstBackoff
	firstBackoff = d
	return before
}
