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
	originEnv []string // by which the function finds its origins
	orphans   orphans
	status    atomic.Pointer[string] // for the progress

	mu       sync.Mutex
	failures map[string]int // by state and message
	seen     [][2]string    // the first answer to each event
	invoked  int
	hung     int           // time-outs in a row
	slowest  time.Duration // of the invocations that were answered
	uncaught bool          // a time-out was meant to happen and did not
	why      string        // the run ended early
}

// timedOutRounds bounds the lives with a time-out, each of which takes as long as
// that is.
const timedOutRounds = 3

// hungMost bounds the time-outs in a row: of a function that hangs there is nothing
// more to learn.
const hungMost = 5

// lives drives the function until it is through, or cannot go on.
func (r *run) lives(ctx context.Context) error {
	for round := range r.rounds {
		event := r.events[round%len(r.events)]
		r.say("life %d of %d", round+1, r.rounds)
		err := r.Life(ctx, event)
		if err == nil && round < timedOutRounds {
			r.say("life %d of %d: with a time-out", round+1, r.rounds)
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
		r.say("%d invocations at once", r.concurrency)
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

// timedOut has an invocation killed in its middle, and measures the next one. An
// OpenWhisk action then begins in a new container. It need not wait longer than a
// function of this speed takes.
func (r *run) timedOut(ctx context.Context, event []byte) error {
	s, err := r.sandbox(1, min(r.timeout, max(3*time.Second, 5*r.slowest)))
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := r.invoke(ctx, s, event, result.Cold); err != nil {
		return err
	}
	res, err := timeOut(ctx, s, event)
	if err != nil {
		return err
	}
	if !res.Died {
		r.uncaught = true
		return nil
	}
	_, err = r.invoke(ctx, s, event, result.TimedOut)
	return err
}

// concurrent has several invocations at once in one process. An invocation that
// finds no place in time is busy; its caller then stops.
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

// note keeps what is told below the table.
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
	for _, s := range r.seen {
		if s[0] == string(event) {
			return
		}
	}
	r.seen = append(r.seen, [2]string{string(event), answer})
}

// say sets what the progress tells.
func (r *run) say(format string, args ...any) { r.status.Store(new(fmt.Sprintf(format, args...))) }

// progress tells on stderr what is being done, each second that brings something
// new, until the returned function is called.
func (r *run) progress() (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		told := ""
		for start := time.Now(); ; {
			r.mu.Lock()
			now := fmt.Sprintf("%s, %s so far", *r.status.Load(), count(r.invoked, "invocation"))
			r.mu.Unlock()
			if now != told {
				compare.Say("bench run: %3.0f s: %s", time.Since(start).Seconds(), now)
			}
			told = now
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-over }
}

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

// busyTurns are some milliseconds of looking without a pause: a function may take
// less than one.
const busyTurns = 20_000

// invokeFrozen keeps the process stopped from the moment that the invocation has
// let it go on. The clock of the time-out runs meanwhile.
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
		if s.Freeze() != nil { // needs Linux: the invocation ends by itself
			<-over
		}
		if runtime.Gosched(); n > busyTurns {
			time.Sleep(100 * time.Microsecond)
		}
	}
}
