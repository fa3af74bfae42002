package host

import (
	"context"
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
	shared  bool // by several invocations at once: none of them may kill it
}

func startInstance(l Lambda, logStream, tmp string) (*instance, error) {
	api, err := newRuntimeAPI(l.Concurrency)
	if err != nil {
		return nil, err
	}
	i := &instance{api: api, output: &output{to: l.Logs}, started: time.Now(), shared: l.Concurrency > 1}
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

// init waits until the function asks for its first event. A shared process that
// one caller no longer waits for goes on with its init.
func (i *instance) init(ctx context.Context, deadline time.Time) (time.Duration, error) {
	select {
	case <-i.api.ready: // before anything else is looked at
	default:
		if err := i.awaitReady(ctx, deadline); err != nil {
			return time.Since(i.started), err
		}
	}
	return i.api.readyAt.Sub(i.started), nil // written before ready was closed
}

func (i *instance) awaitReady(ctx context.Context, deadline time.Time) error {
	err := i.wait(ctx, i.api.ready, deadline)
	if err == errTooLate || err != nil && !i.shared {
		i.kill()
	}
	return err
}

// serve passes the invocation through the process and waits until it is over.
// If that takes too long, a process that is not shared is dead when it returns.
func (i *instance) serve(ctx context.Context, inv *invocation) error {
	defer i.settle()
	inv.begun = time.Now()
	err := i.offer(ctx, inv)
	if err == nil {
		err = i.wait(ctx, inv.over, inv.deadline)
	}
	if err != nil && !i.shared {
		i.kill()
	}
	return err
}

// offer waits until the function takes the invocation.
func (i *instance) offer(ctx context.Context, inv *invocation) error {
	timer := time.NewTimer(time.Until(inv.deadline))
	defer timer.Stop()
	select {
	case i.api.queue <- inv:
		inv.taken = true
		return nil
	case <-i.exited:
		return errDied
	case <-timer.C:
		return errTooLate
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exit says how the process ended, in Lambda's words.
func (i *instance) exit() string {
	if s := i.cmd.ProcessState; s != nil && !s.Success() {
		return "Runtime exited with error: " + s.String()
	}
	return "Runtime exited without providing a reason"
}
