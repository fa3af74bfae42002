package flight

import (
	"context"
	"time"
)

// Latest returns the deadline of ctx. For the context of a load, it returns the latest
// deadline among the callers that wait for the load; ok is false if one has no deadline.
func Latest(ctx context.Context) (deadline time.Time, ok bool) {
	d := newWaiter(ctx).deadline
	return d.at, d.set
}
