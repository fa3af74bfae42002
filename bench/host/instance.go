package host

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// instance is a process with its extensions and their APIs.
type instance struct {
	*process
	api        *runtimeAPI
	output     *childtest.Tail
	started    time.Time
	shared     bool // by several invocations at once: none of them may kill it
	extensions []*process

	mu     sync.Mutex
	reason string // of its shutdown
	ending bool   // it is being shut down, and can no longer be frozen
}

// startInstance starts the extensions and, when they have registered, the function. If
// it returns an instance and an error, the instance is dead.
func startInstance(ctx context.Context, l Lambda, logStream, tmp string) (*instance, error) {
	api, err := newRuntimeAPI(l)
	if err != nil {
		return nil, err
	}
	i := &instance{api: api, output: &childtest.Tail{To: l.Logs}, started: time.Now(), shared: l.Concurrency > 1, reason: "failure"}
	if err = i.startExtensions(ctx, l, tmp); err == nil {
		i.process, err = i.start(l.Binary, l.Args, l.variables(api.addr, logStream, tmp), tmp, func(*process) { i.atExit() })
	}
	if i.process == nil {
		i.atExit()
		return nil, err
	}
	return i, nil
}

func (i *instance) start(program string, args, env []string, tmp string, atExit func(*process)) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = filepath.Dir(program), env
	cmd.Stdout, cmd.Stderr = i.output, i.output
	return startProcess(cmd, tmp, atExit)
}

func (i *instance) startExtensions(ctx context.Context, l Lambda, tmp string) error {
	tmp += "/." // the same directory by another name, which tells their orphans from the function's
	for _, e := range l.Extensions {
		p, err := i.start(e, nil, l.extensionVariables(i.api.addr, tmp), tmp, func(p *process) {
			i.api.fail(&FunctionError{Type: "Extension.Crash", Message: "the extension " + filepath.Base(e) + " ended: " + p.cmd.ProcessState.String()})
		})
		if err != nil {
			return err
		}
		i.extensions = append(i.extensions, p)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.InitTimeout,
		&FunctionError{Type: ErrorTimeout, Message: fmt.Sprintf("an extension has not registered within %v", l.InitTimeout)})
	defer cancel()
	select {
	case <-i.api.registered:
		return nil
	case <-i.api.failed:
		f := *i.api.failedWith()
		f.Message += "; the output ends with: " + i.output.String()
		return &f
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// atExit runs when the function's process has ended, before its callers return.
func (i *instance) atExit() {
	i.mu.Lock()
	i.ending = true
	reason := i.reason
	i.mu.Unlock()
	deadline := time.Now().Add(externalShutdown * 7 / 10)
	told := i.api.announceShutdown(reason, deadline)
	var work sync.WaitGroup
	for _, e := range i.extensions {
		work.Go(func() {
			if told[filepath.Base(e.cmd.Path)] {
				_ = e.thaw()
				select {
				case <-e.exited:
				case <-time.After(time.Until(deadline)):
				}
			}
			e.kill()
		})
	}
	work.Wait()
	i.api.close()
}

// stop ends the instance as Lambda ends an environment: without notice, unless an
// extension has registered.
func (i *instance) stop(reason string) {
	own, notice := i.api.shutdown()
	i.mu.Lock()
	i.reason, i.ending = reason, true
	i.mu.Unlock()
	if notice && reason != "failure" {
		i.terminate(time.Now().Add(own))
	}
	i.kill()
}

func (i *instance) freeze() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ending {
		return nil
	}
	err := i.process.freeze()
	for _, e := range i.extensions {
		if err == nil {
			err = e.freeze()
		}
	}
	return err
}

func (i *instance) thaw() error {
	for _, e := range i.extensions {
		if err := e.thaw(); err != nil {
			return err
		}
	}
	return i.process.thaw()
}

func (i *instance) wake() (bool, error) {
	if err := i.thaw(); err != nil {
		return false, err
	}
	return i.process.wake()
}

// init waits until the function and its extensions wait for events. If ctx ends, a
// shared process continues its init.
func (i *instance) init(ctx context.Context, deadline time.Time) (time.Duration, error) {
	select {
	case <-i.api.ready: // has priority over the other channels
	default:
		err := i.wait(ctx, i.api.ready, i.api.failed, deadline)
		if err == errTooLate || err == errFailed || err != nil && !i.shared {
			i.stopFor(err)
		}
		if err != nil {
			return time.Since(i.started), err
		}
	}
	return i.api.readyAt.Sub(i.started), nil // written before ready was closed
}

// stopFor ends an instance because of err.
func (i *instance) stopFor(err error) {
	if err == errTooLate {
		i.stop("timeout")
		return
	}
	i.stop("failure")
}

// serve sends the invocation to the process and waits for its end. It kills a
// process that exceeds Timeout, unless the process is shared.
func (i *instance) serve(ctx context.Context, inv *invocation) error {
	defer i.settle()
	err := i.offer(ctx, i.api.queue, inv, nil, i.api.failed, inv.deadline)
	if err == nil {
		inv.taken = true
		err = i.wait(ctx, inv.over, i.api.failed, inv.deadline)
	}
	if err == errFailed || err != nil && !i.shared {
		i.stopFor(err)
	}
	return err
}

// exit describes how the process ended, as Lambda does.
func (i *instance) exit() string {
	if s := i.cmd.ProcessState; s != nil && !s.Success() {
		return "Runtime exited with error: " + s.String()
	}
	return "Runtime exited without providing a reason"
}
