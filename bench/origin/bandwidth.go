package origin

import "golang.org/x/time/rate"

// line limits one client connection. The two directions have limits of their own, as on a real link.
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

// throttle lets bytes pass at a steady rate, or without limit.
type throttle struct{ *rate.Limiter }

// portion returns how many of n bytes pass at once. It is half a burst: the other half makes up for timers that fire
// late, whose delays would add up.
func (t throttle) portion(n int) int {
	if t.Limit() == rate.Inf {
		return n
	}
	return min(n, max(1, t.Burst()/2))
}
