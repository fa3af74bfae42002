package host

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"time"
)

// instance is a process with the Runtime API that it talks to.
type instance struct {
	*process
	api     *runtimeAPI
	output  *output
	started time.Time
}

var (
	errDied    = errors.New("the process ended")
	errTooLate = errors.New("the deadline passed")
)

func startInstance(l Lambda, logStream, tmp string) (*instance, error) {
	api, err := newRuntimeAPI()
	if err != nil {
		return nil, err
	}
	i := &instance{api: api, output: &output{to: l.Logs}, started: time.Now()}
	cmd := exec.Command(l.Binary, l.Args...)
	cmd.Dir = filepath.Dir(l.Binary)
	cmd.Env = l.variables(api.addr, logStream, tmp)
	cmd.Stdout, cmd.Stderr = i.output, i.output
	if i.process, err = startProcess(cmd, api.close); err != nil {
		api.close()
		return nil, err
	}
	return i, nil
}

// await waits for an event of the instance. If anything else comes first, the
// process is dead when it returns.
func (i *instance) await(ctx context.Context, event <-chan struct{}, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	var cause error
	select {
	case <-event:
		return nil
	case <-i.exited:
		cause = errDied
	case <-timer.C:
		cause = errTooLate
	case <-ctx.Done():
		cause = ctx.Err()
	}
	i.kill()
	return cause
}

// init waits until the function asks for its first event.
func (i *instance) init(ctx context.Context, deadline time.Time) (time.Duration, error) {
	if err := i.await(ctx, i.api.ready, deadline); err != nil {
		return time.Since(i.started), err
	}
	return i.api.readyAt.Sub(i.started), nil // written before ready was closed
}

// serve passes the invocation through the process and waits until it is over.
func (i *instance) serve(ctx context.Context, inv *invocation) error {
	inv.begun = time.Now()
	i.api.queue <- inv // never blocks: there is one invocation at a time, and a failed one ends the process
	defer i.settle()
	return i.await(ctx, inv.over, inv.deadline)
}

// exit says how the process ended, in Lambda's words.
func (i *instance) exit() string {
	if s := i.cmd.ProcessState; s != nil && !s.Success() {
		return "Runtime exited with error: " + s.String()
	}
	return "Runtime exited without providing a reason"
}
