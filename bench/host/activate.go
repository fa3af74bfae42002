package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Invoke calls Do with parameters alone.
func (c *Container) Invoke(ctx context.Context, event []byte) (Result, error) {
	return c.Do(ctx, Activation{Value: event})
}

// Do runs one activation. It starts a container if there is none, resumes it if
// it is frozen, and returns when the result has arrived or the process has
// ended. Concurrent calls wait for each other: a Go action is never given two
// activations at once.
//
// The Result describes everything that the action does: its result, its
// {"error": ...}, a panic, an exit, a time-out, a start that it did not acknowledge
// within Timeout. A result, an error of that form and a result that is too large keep
// the container. Anything else destroys it, and the next start is Cold. If the process
// ends between two activations, the second of them fails, as on OpenWhisk.
//
// Do returns an error if the activation did not happen:
//   - the parameters are not a JSON object or array, or are larger than 1 MB;
//   - the program could not be executed;
//   - ctx ended (errors.Is): if the activation had begun, its container is destroyed,
//     so that the next one can start;
//   - the Container was closed (os.ErrClosed).
func (c *Container) Do(ctx context.Context, a Activation) (Result, error) {
	a = a.withDefaults()
	err := a.check()
	if err == nil {
		err = c.turns.Acquire(ctx, 1)
	}
	if err != nil {
		return Result{}, c.errorf("invoke", err)
	}
	defer c.turns.Release(1)
	return c.outcome(c.activate(ctx, a))
}

func (c *Container) activate(ctx context.Context, a Activation) (Result, error) {
	if refused := c.action.checkImage(); refused != nil {
		return Result{RequestID: a.ID, InitFailed: true, Died: true, FunctionError: refused}, nil //nolint:nilerr // it is the function's
	}
	l, kind, err := c.ready(a)
	if err != nil {
		return Result{}, err
	}
	res := Result{RequestID: a.ID, Start: kind, Pid: l.pid()}
	if kind == Cold {
		if res.Init, err = l.init(ctx, l.started.Add(c.action.Timeout)); err != nil {
			res.InitFailed = true
			return c.finish(res, l, nil, c.initFailure(err))
		}
	}
	begun := time.Now()
	deadline := begun.Add(c.action.Timeout)
	x, err := l.roundTrip(ctx, a.line(c.action, deadline), deadline)
	l.settle()
	res.Duration = x.arrived.Sub(begun)
	res.FirstByte = res.Duration
	return c.finish(res, l, x, err)
}

// initFailure returns a *FunctionError if the action itself is the reason that it
// never became ready, and otherwise cause.
func (c *Container) initFailure(cause error) error {
	switch {
	case cause == errTooLate:
		return &FunctionError{Type: ErrorTimeout, Message: fmt.Sprintf("did not acknowledge its start within %v", c.action.Timeout)}
	case errors.Is(cause, errNoAck):
		return &FunctionError{Type: ErrorMalformed, Message: cause.Error()}
	}
	return cause
}

// finish makes the Result of an activation, and destroys the container if it must.
func (c *Container) finish(res Result, l *actionLoop, x *exchange, cause error) (Result, error) {
	f, itself := cause.(*FunctionError)
	switch {
	case cause == nil:
		res.Payload, res.FunctionError = x.result()
	case c.isClosed():
		return res, os.ErrClosed
	case itself:
		res.FunctionError = f
	case cause == errDied:
		res.FunctionError = &FunctionError{Type: ErrorExit, Message: l.exit()}
	case cause == errTooLate:
		res.FunctionError = &FunctionError{Type: ErrorTimeout,
			Message: fmt.Sprintf("The action exceeded its time limits of %d milliseconds.", c.action.Timeout.Milliseconds())}
	default:
		c.destroy(l)
		return res, cause
	}
	if f := res.FunctionError; f != nil && f.Type != ErrorApplication && f.Type != ErrorTooLarge {
		res.Died = true
		c.destroy(l)
		res.Output = l.output.String()
	}
	return res, nil
}

// result reads the line that the action answered with.
func (x *exchange) result() ([]byte, *FunctionError) {
	if x.length > maxResult {
		return nil, &FunctionError{Type: ErrorTooLarge, Message: fmt.Sprintf(
			"The action produced a response that exceeded the allowed length: %d > %d bytes.", x.length, maxResult)}
	}
	line := bytes.TrimSpace(x.line)
	if !isObjectOrArray(line) {
		return nil, &FunctionError{Type: ErrorMalformed, Message: fmt.Sprintf(
			"The action did not return a dictionary or array: %.100q", line)}
	}
	if e, ok := applicationError(line); ok {
		return nil, &FunctionError{Type: ErrorApplication, Message: e}
	}
	return line, nil
}

// applicationError returns the text of the member "error". A result that has one is an
// error, even if the member is null.
func applicationError(result []byte) (string, bool) {
	var object map[string]json.RawMessage
	_ = json.Unmarshal(result, &object) // an array has no members
	e, ok := object["error"]
	if !ok {
		return "", false
	}
	var text string
	if err := json.Unmarshal(e, &text); err != nil || e[0] != '"' {
		return string(e), true
	}
	return text, true
}
