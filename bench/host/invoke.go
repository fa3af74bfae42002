package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Invoke calls Do with an event alone.
func (e *Environment) Invoke(ctx context.Context, event []byte) (Result, error) {
	return e.Do(ctx, Request{Event: event})
}

// Do runs one invocation. It starts a process if there is none, thaws it if it
// is frozen, and returns when the function requests the next event, which is
// when Lambda may freeze it, or when its process has ended. At most Concurrency
// concurrent calls run at once, and the others wait for them.
//
// The Result describes everything that the function does: its response, its error, a
// panic, an exit, a time-out, an init that failed. A time-out kills the process. For a
// Cold start Timeout begins after the init; for a Restarted one, as on Lambda, with the
// process: a function whose init alone takes longer than Timeout never recovers.
//
// Do returns an error if the invocation did not happen:
//   - the program, or an extension, could not be executed;
//   - ctx ended (errors.Is): if the invocation had begun, its process is killed, so that
//     the environment is free again, and the next start is Restarted; a process with
//     Concurrency is not killed;
//   - with Concurrency, the function fetched no event in time ([ErrBusy]);
//   - the environment was closed (os.ErrClosed).
func (e *Environment) Do(ctx context.Context, r Request) (Result, error) {
	if len(r.Event) > maxEvent {
		return Result{}, e.errorf("invoke", fmt.Errorf("event of %d bytes, at most %d are allowed", len(r.Event), maxEvent))
	}
	if err := e.turns.Acquire(ctx, 1); err != nil {
		return Result{}, e.errorf("invoke", err)
	}
	r = r.withDefaults()
	inv := &invocation{Request: r, arn: "arn:aws:lambda:" + region + ":123456789012:function:" + e.lambda.Name, over: make(chan struct{}), leave: sync.OnceFunc(func() { e.turns.Release(1) })}
	return e.outcome(e.invoke(ctx, inv))
}

// invoke releases the turn, unless the function is still running.
func (e *Environment) invoke(ctx context.Context, inv *invocation) (Result, error) {
	for {
		i, kind, err := e.ready(ctx)
		if err != nil {
			inv.leave()
			return notStarted(inv, kind, err)
		}
		res, err := e.invokeIn(ctx, i, kind, inv)
		if err == errNotTaken {
			continue // a shared process exited for another reason than this invocation
		}
		if !i.api.abandon(inv) {
			inv.leave()
		}
		return res, err
	}
}

// notStarted returns a Result if an extension failed, and otherwise the error.
func notStarted(inv *invocation, kind StartKind, err error) (Result, error) {
	var f *FunctionError
	if !errors.As(err, &f) {
		return Result{}, err
	}
	return Result{RequestID: inv.ID, Start: kind, InitFailed: true, Died: true, FunctionError: f}, nil
}

// ErrBusy is the error of an invocation of a shared process that no loop of the
// function fetched within Timeout: all of them are still busy with earlier ones.
var ErrBusy = errors.New("the function is busy: it fetched no event within Timeout")

var errNotTaken = errors.New("the process ended before it fetched the invocation")

func (e *Environment) invokeIn(ctx context.Context, i *instance, kind StartKind, inv *invocation) (Result, error) {
	res := Result{RequestID: inv.ID, Start: kind, Pid: i.pid()}
	started, err := i.init(ctx, e.initDeadline(i, kind))
	if kind == Cold || kind == Restarted {
		res.Init = started
	}
	if err != nil {
		res.InitFailed = true
		if f := e.initFailure(i, kind, err); f != nil {
			inv.failed = &answer{err: f, arrived: time.Now()}
		}
		return e.finish(res, i, inv, err)
	}
	inv.begun = time.Now() // before the deadline is computed: Duration covers the whole Timeout
	inv.deadline = e.deadline(i, kind)
	err = i.serve(ctx, inv)
	if err == errDied && i.shared && !inv.taken && !e.isClosed() {
		return res, errNotTaken
	}
	if err == errTooLate && i.shared && !inv.taken {
		err = ErrBusy
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

// initFailure returns the reason that a process requested no event. It is nil for a
// restart that took too long, which on Lambda is an ordinary time-out.
func (e *Environment) initFailure(i *instance, kind StartKind, cause error) *FunctionError {
	posted := i.api.failedWith()
	switch {
	case posted != nil:
		return posted
	case cause == errDied:
		return &FunctionError{Type: ErrorExit, Message: i.exit()}
	case cause == errTooLate && (kind != Restarted || i.shared):
		return &FunctionError{Type: ErrorTimeout, Message: fmt.Sprintf("asked for no event within %v", e.lambda.InitTimeout)}
	}
	return nil
}

// finish makes the Result of an invocation.
func (e *Environment) finish(res Result, i *instance, inv *invocation, cause error) (Result, error) {
	switch {
	case cause == nil:
	case e.isClosed():
		return res, os.ErrClosed
	case cause == errDied, cause == errTooLate, cause == errFailed:
		res.Died = !i.alive()
	default:
		return res, cause
	}
	if res.Died {
		res.Output = i.output.String()
	}
	ans := cmp.Or(i.api.answered(inv), inv.failed)
	if ans == nil {
		ans = &answer{err: e.unanswered(i, inv, cause), arrived: time.Now()}
	}
	res.Payload, res.FunctionError, res.Streamed = ans.payload, ans.err, ans.streamed
	if !inv.begun.IsZero() {
		res.Duration = ans.arrived.Sub(inv.begun)
		res.FirstByte = res.Duration
		if !ans.firstByte.IsZero() {
			res.FirstByte = ans.firstByte.Sub(inv.begun)
		}
	}
	return res, nil
}

// unanswered returns Lambda's error for a function that did not answer.
func (e *Environment) unanswered(i *instance, inv *invocation, cause error) *FunctionError {
	if f := i.api.failedWith(); f != nil {
		return f
	}
	if cause == errTooLate {
		return inv.failure(ErrorTimeout, "Task timed out after %.2f seconds", e.lambda.Timeout.Seconds())
	}
	return inv.failure(ErrorExit, "%s", i.exit())
}
