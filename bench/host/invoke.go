package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Invoke is Do with nothing but an event.
func (e *Environment) Invoke(ctx context.Context, event []byte) (Result, error) {
	return e.Do(ctx, Request{Event: event})
}

// Do runs one invocation. It starts a process if there is none, thaws it if it
// is frozen, and returns when the function asks for the next event, which is
// when Lambda may freeze it, or when its process has ended. Of concurrent calls
// no more than Concurrency are under way, and the others wait for them.
//
// Whatever the function does is in the Result: its response, its error, a
// panic, an exit, a time-out. A time-out kills the process. For a Cold start
// the clock of Timeout starts after the init; for a Restarted one, as on
// Lambda, with the process: a function whose init alone takes longer than
// Timeout never comes back.
//
// The error is for an invocation that never happened:
//   - the program could not be started, or ended before it asked for its first
//     event, or did not ask within InitTimeout; the error says what it printed
//     last, and as a *FunctionError has what it reported itself;
//   - ctx ended (errors.Is): if it was this invocation's turn, the process is
//     then killed, so that the environment is free again, and the next start is
//     Restarted; not so with Concurrency;
//   - the environment was closed (os.ErrClosed).
func (e *Environment) Do(ctx context.Context, r Request) (Result, error) {
	if len(r.Event) > maxEvent {
		return Result{}, e.errorf("invoke", fmt.Errorf("event of %d bytes, at most %d are allowed", len(r.Event), maxEvent))
	}
	if err := e.turns.take(ctx); err != nil {
		return Result{}, e.errorf("invoke", err)
	}
	r = r.withDefaults()
	inv := &invocation{Request: r, arn: e.lambda.arn(), over: make(chan struct{}), leave: sync.OnceFunc(e.turns.give)}
	res, err := e.invoke(ctx, inv)
	if err != nil {
		return Result{}, e.errorf("invoke", err)
	}
	return res, nil
}

// invoke gives up the turn, unless the function is still at it.
func (e *Environment) invoke(ctx context.Context, inv *invocation) (Result, error) {
	for {
		i, kind, err := e.ready()
		if err != nil {
			inv.leave()
			return Result{}, err
		}
		res, err := e.invokeIn(ctx, i, kind, inv)
		if err == errNotTaken {
			continue // a shared process that was about to exit; this was not its doing
		}
		if !i.api.abandon(inv) {
			inv.leave()
		}
		return res, err
	}
}

var errNotTaken = errors.New("the process ended before it took the invocation")

func (e *Environment) invokeIn(ctx context.Context, i *instance, kind StartKind, inv *invocation) (Result, error) {
	res := Result{RequestID: inv.ID, Start: kind, Pid: i.pid()}
	started, err := i.init(ctx, e.initDeadline(i, kind))
	if kind == Cold || kind == Restarted {
		res.Init = started
	}
	if err == errTooLate && kind == Restarted && !i.shared {
		return e.finish(res, i, inv, err)
	}
	if err != nil {
		return res, e.initError(i, err)
	}
	inv.deadline = e.deadline(i, kind)
	err = i.serve(ctx, inv)
	if err == errDied && i.shared && !inv.taken && !e.isClosed() {
		return res, errNotTaken
	}
	return e.finish(res, i, inv, err)
}

func (e *Environment) initDeadline(i *instance, kind StartKind) time.Time {
	if kind == Restarted && !i.shared {
		return e.deadline(i, kind)
	}
	return i.started.Add(e.lambda.InitTimeout)
}

func (e *Environment) deadline(i *instance, kind StartKind) time.Time {
	if kind == Restarted && !i.shared {
		return i.started.Add(e.lambda.Timeout)
	}
	return time.Now().Add(e.lambda.Timeout)
}

// initError explains why a process never asked for an event.
func (e *Environment) initError(i *instance, cause error) error {
	posted := i.api.initFailure()
	switch {
	case e.isClosed():
		return os.ErrClosed
	case posted != nil:
		cause = posted
	case cause == errDied:
		cause = &FunctionError{Type: ErrorExit, Message: i.exit()}
	case cause == errTooLate:
		cause = &FunctionError{Type: ErrorTimeout, Message: fmt.Sprintf("asked for no event within %v", e.lambda.InitTimeout)}
	}
	return fmt.Errorf("init of %s: %w%s", e.lambda.Binary, cause, i.output.tail())
}

// finish turns the end of an invocation into its Result.
func (e *Environment) finish(res Result, i *instance, inv *invocation, cause error) (Result, error) {
	switch {
	case cause == nil:
	case e.isClosed():
		return res, os.ErrClosed
	case cause == errDied, cause == errTooLate:
		res.Died = !i.alive()
	default:
		return res, cause
	}
	ans := i.api.answered(inv)
	if ans == nil {
		ans = &answer{err: e.unanswered(i, inv, cause), arrived: time.Now()}
	}
	res.Payload, res.FunctionError = ans.payload, ans.err
	if !inv.begun.IsZero() {
		res.Duration = ans.arrived.Sub(inv.begun)
	}
	return res, nil
}

// unanswered is what Lambda answers for a function that did not.
func (e *Environment) unanswered(i *instance, inv *invocation, cause error) *FunctionError {
	if cause == errTooLate {
		return inv.failure(ErrorTimeout, "Task timed out after %.2f seconds", e.lambda.Timeout.Seconds())
	}
	return inv.failure(ErrorExit, "%s", i.exit())
}
