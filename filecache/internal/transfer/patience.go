package transfer

import (
	"os"
	"time"
)

// Patience is how long a connection may be silent. Time counts from the last byte, or
// from the request.
type Patience struct {
	Renew    time.Duration // then the rest is requested on a new connection. Zero: DefaultRenew
	GiveUp   time.Duration // then the transfer ends with ErrStalled. Zero: never
	Deadline time.Time     // of the caller: both come earlier then. Zero: none
}

// DefaultRenew is far longer than a connection that works is silent, and short for
// somebody who waits.
const DefaultRenew = 3 * time.Second

// leastRenew bounds Renew from below, however little time the caller has left: a
// connection that works is rarely silent for so long.
const leastRenew = 250 * time.Millisecond

// Waits returns how long to wait, from now on, before renewing and giving up: until
// half and three quarters of the caller's time are over, at the latest.
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

// ErrStalled is the error of an origin that sends nothing any more. It is a time-out,
// but not that of a context.
var ErrStalled error = stalled{}

type stalled struct{}

func (stalled) Error() string        { return "the origin stopped sending" }
func (stalled) Timeout() bool        { return true }
func (stalled) Is(target error) bool { return target == os.ErrDeadlineExceeded }
