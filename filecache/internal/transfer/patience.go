package transfer

import (
	"os"
	"time"
)

// Patience bounds the silence of a connection. The time counts from the last byte, or
// from the request.
type Patience struct {
	Renew    time.Duration // when to request the rest on a new connection; zero means DefaultRenew
	GiveUp   time.Duration // when to fail with ErrStalled; zero means never
	Deadline time.Time     // the caller's deadline, which shortens both; zero means none
}

// DefaultRenew is much longer than the pauses of a healthy connection, and still short
// for a waiting user.
const DefaultRenew = 3 * time.Second

// leastRenew is the minimum of Renew, even if the caller has less time. Healthy
// connections are rarely silent for so long.
const leastRenew = 250 * time.Millisecond

// Waits returns how long to wait from now before renewing and before giving up. These
// come no later than half and three quarters of the time to the Deadline.
func (p Patience) Waits(now time.Time) (renew, giveUp time.Duration) {
	renew, giveUp = p.Renew, p.GiveUp
	if renew == 0 {
		renew = DefaultRenew
	}
	if left := p.Deadline.Sub(now); !p.Deadline.IsZero() && left > 0 {
		renew = min(renew, max(left/2, leastRenew))
		if giveUp > 0 {
			giveUp = min(giveUp, left/4*3)
		}
	}
	return renew, giveUp
}

// ErrStalled means that the origin stopped sending. It is a time-out, but does not match
// context.DeadlineExceeded.
var ErrStalled error = stalled{}

type stalled struct{}

func (stalled) Error() string        { return "the origin stopped sending" }
func (stalled) Timeout() bool        { return true }
func (stalled) Is(target error) bool { return target == os.ErrDeadlineExceeded }
