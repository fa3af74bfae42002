package origin

import "golang.org/x/time/rate"

// line is one client connection's share of the network. The directions do not compete, as on a real link.
type line struct {
	up, down throttle
}

func newLine(bytesPerSecond, burst int) *line {
	limit := rate.Limit(bytesPerSecond)
	if bytesPerSecond == 0 {
		limit = rate.Inf
	}
	return &line{throttle{rate.NewLimiter(limit, burst)}, throttle{rate.NewLimiter(limit, burst)}}
}

// throttle lets bytes pass at a steady rate, or at once.
type throttle struct{ *rate.Limiter }

// portion is how many of n bytes to let pass at once. Half a burst keeps the other half as slack for timers that fire
// late, so that their lateness is made up for and does not add up.
func (t throttle) portion(n int) int {
	if t.Limit() == rate.Inf {
		return n
	}
	return min(n, max(1, t.Burst()/2))
}
