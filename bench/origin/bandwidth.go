package origin

import (
	"context"

	"golang.org/x/time/rate"
)

// line is one client connection's share of the network. The directions do not compete, as on a real link.
type line struct {
	up, down throttle
}

func newLine(bytesPerSecond, burst int) *line {
	return &line{up: newThrottle(bytesPerSecond, burst), down: newThrottle(bytesPerSecond, burst)}
}

// throttle lets bytes pass at a steady rate. The zero throttle lets everything pass.
type throttle struct {
	limiter *rate.Limiter
}

func newThrottle(bytesPerSecond, burst int) throttle {
	if bytesPerSecond == 0 {
		return throttle{}
	}
	return throttle{rate.NewLimiter(rate.Limit(bytesPerSecond), burst)}
}

// portion is how many of n bytes to let pass at once. Half a burst keeps the other half as slack for timers that fire
// late, so that their lateness is made up for and does not add up.
func (t throttle) portion(n int) int {
	if t.limiter == nil {
		return n
	}
	return min(n, max(1, t.limiter.Burst()/2))
}

// wait returns when a portion of n bytes may pass, or with an error when ctx ends.
func (t throttle) wait(ctx context.Context, n int) error {
	if t.limiter == nil {
		return nil
	}
	return t.limiter.WaitN(ctx, n)
}
