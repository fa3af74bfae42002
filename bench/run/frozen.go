package run

import (
	"context"
	"runtime"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

// attempts bound how often a process is caught at the wrong moment.
const attempts = 5

// timeOut has an invocation killed in its middle by its time-out. When the
// function was too quick for that each time, its last answer comes back.
func timeOut(ctx context.Context, s host.Sandbox, event []byte) (res host.Result, err error) {
	for range attempts {
		if res, err = invokeFrozen(ctx, s, event); err != nil || res.Died {
			break
		}
	}
	return res, err
}

// invokeFrozen keeps the process stopped from the moment that the invocation has
// let it go on. The clock of the time-out runs meanwhile.
func invokeFrozen(ctx context.Context, s host.Sandbox, event []byte) (res host.Result, err error) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		res, err = s.Invoke(ctx, event)
	}()
	for n := 0; !isClosed(over); n++ {
		if s.Freeze() != nil { // needs Linux: the invocation ends by itself
			<-over
		}
		if runtime.Gosched(); n > busyTurns {
			time.Sleep(100 * time.Microsecond)
		}
	}
	return res, err
}

// busyTurns are some milliseconds of looking without a pause: a function may take
// less than one.
const busyTurns = 20_000

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
