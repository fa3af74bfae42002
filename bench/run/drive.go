package run

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/compare"
)

// run is one run of a user's function.
type run struct {
	settings
	Driver
	originEnv []string // the addresses and credentials of its origins
	orphans   orphans
	status    atomic.Pointer[string] // for the progress

	mu       sync.Mutex
	failures map[string]int // by state and message
	seen     [][2]string    // the first answer to each event
	invoked  int
	hung     int           // time-outs in a row
	slowest  time.Duration // of the invocations that were answered
	uncaught bool          // the function was too quick for a forced time-out
	why      string        // the run ended early
}

// timedOutRounds bounds the lives with a time-out, each of which takes the whole time.
const timedOutRounds = 3

// hungMost bounds the time-outs in a row, after which the function hangs.
const hungMost = 5

// lives runs all rounds, unless the function hangs or cannot run.
func (r *run) lives(ctx context.Context) error {
	for round := range r.rounds {
		event := r.events[round%len(r.events)]
		r.setStatus("life %d of %d", round+1, r.rounds)
		err := r.Life(ctx, event)
		if err == nil && round < timedOutRounds {
			r.setStatus("life %d of %d: with a time-out", round+1, r.rounds)
			err = r.timedOut(ctx, event)
		}
		if err != nil {
			return err
		}
		r.orphans.sweep()
		if r.hung >= hungMost {
			r.why = fmt.Sprintf("after %d of %d lives: %d invocations in a row timed out", round+1, r.rounds, r.hung)
			break
		}
	}
	if r.concurrency > 1 {
		r.setStatus("%d invocations at once", r.concurrency)
		return r.concurrent(ctx)
	}
	return nil
}

// sandbox makes a container.
func (r *run) sandbox(concurrency int, timeout time.Duration) (host.Sandbox, error) {
	env := slices.Concat(r.originEnv, r.env)
	if r.host == "openwhisk" {
		return host.OpenWhisk{Binary: r.binary, Args: r.args, Env: env, Timeout: timeout, Logs: r.logs}.Container()
	}
	return host.Lambda{Binary: r.binary, Args: r.args, Env: env, Handler: r.handler, Extensions: r.extensions, Timeout: timeout,
		InitTimeout: r.initTimeout, MemoryMB: r.memoryMB, Concurrency: concurrency, Logs: r.logs}.Environment()
}

// timedOut forces a time-out in the middle of an invocation, and measures the next one.
// On OpenWhisk that starts in a new container. For quick functions it reduces the limit.
func (r *run) timedOut(ctx context.Context, event []byte) error {
	s, err := r.sandbox(1, min(r.timeout, max(3*time.Second, 5*r.slowest)))
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := r.invoke(ctx, s, event, result.Cold); err != nil {
		return err
	}
	for range attempts {
		res, err := invokeFrozen(ctx, s, event)
		if err != nil {
			return err
		}
		if res.Died {
			_, err = r.invoke(ctx, s, event, result.TimedOut)
			return err
		}
	}
	r.uncaught = true
	return nil
}

// concurrent runs several invocations at once in one process. An invocation that the
// process does not accept in time counts as busy, and ends its caller.
func (r *run) concurrent(ctx context.Context) error {
	s, err := r.sandbox(r.concurrency, r.timeout)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := r.invoke(ctx, s, r.events[0], result.Cold); err != nil {
		return err
	}
	errs := make([]error, r.concurrency)
	var callers sync.WaitGroup
	for caller := range r.concurrency {
		callers.Go(func() { errs[caller] = r.call(ctx, s, caller) })
	}
	callers.Wait()
	return errors.Join(errs...)
}

func (r *run) call(ctx context.Context, s host.Sandbox, caller int) error {
	for i := range r.rounds {
		bounded, cancel := context.WithTimeout(ctx, r.timeout+r.initTimeout)
		_, err := r.invoke(bounded, s, r.events[(caller+i)%len(r.events)], result.Concurrent)
		cancel()
		if ctx.Err() == nil && (errors.Is(err, host.ErrBusy) || errors.Is(err, context.DeadlineExceeded)) {
			r.record(result.Concurrent, result.Sample{Busy: true})
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// note records the answers and failures to print below the table.
func (r *run) note(state result.State, event []byte, res host.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.invoked++
	r.hung++
	if f := res.FunctionError; f == nil || f.Type != host.ErrorTimeout {
		r.hung = 0
	}
	answer, code := string(res.Payload), status(res.Payload)
	switch f := res.FunctionError; {
	case f != nil:
		answer = r.failure(res)
		r.failures[fmt.Sprintf("%s: %s", state, answer)]++
	case code >= 400:
		r.failures[fmt.Sprintf("%s: HTTP %d", state, code)]++
		fallthrough
	default:
		r.slowest = max(r.slowest, res.Init+res.Duration)
	}
	if r.verbose {
		r.print(fmt.Sprintf("%-10s  %.200s\n  -> %s\n", state, event, r.redact(answer)))
		return
	}
	if !slices.ContainsFunc(r.seen, func(s [2]string) bool { return s[0] == string(event) }) {
		r.seen = append(r.seen, [2]string{string(event), answer})
	}
}

// setStatus sets the text of the progress.
func (r *run) setStatus(format string, args ...any) {
	r.status.Store(new(fmt.Sprintf(format, args...)))
}

// progress prints the status to stderr each second, if it has changed, until stop is
// called.
func (r *run) progress() (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		printed := ""
		for start := time.Now(); ; {
			r.mu.Lock()
			now := fmt.Sprintf("%s, %s so far", *r.status.Load(), count(r.invoked, "invocation"))
			r.mu.Unlock()
			if now != printed {
				compare.Say("bench run: %3.0f s: %s", time.Since(start).Seconds(), now)
			}
			printed = now
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-over }
}

// attempts bounds how often the process is caught too late. It is a variable for tests.
var attempts = 5

// busyTurns are some milliseconds of polling without a pause, since a function may take
// less than one.
const busyTurns = 20_000

// invokeFrozen freezes the process again as soon as the invocation has thawed it, until
// the invocation times out.
func invokeFrozen(ctx context.Context, s host.Sandbox, event []byte) (res host.Result, err error) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		res, err = s.Invoke(ctx, event)
	}()
	for n := 0; ; n++ {
		select {
		case <-over:
			return res, err
		default:
		}
		if s.Freeze() != nil { // not on Linux: the invocation ends by itself
			<-over
		}
		if runtime.Gosched(); n > busyTurns {
			time.Sleep(100 * time.Microsecond)
		}
	}
}
