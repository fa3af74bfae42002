package flight

import (
	"context"
	"time"
)

// Latest returns the deadline of ctx. If ctx is that of a load, it returns the latest
// deadline of the load's waiting callers, if all have one.
func Latest(ctx context.Context) (time.Time, bool) {
	d := newWaiter(ctx).deadline
	return d.at, d.set
}
