package host

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is a function's process, the leader of a new process group.
type process struct {
	cmd    *exec.Cmd
	tmp    string        // its TMPDIR, by which its orphans are found
	dead   chan struct{} // closed when it is reaped, its group killed, its output read
	exited chan struct{} // closed after that, when atExit has returned

	// mu is held while a signal is sent and while the process is reaped: a signal
	// cannot reach another process with the same pid.
	mu      sync.Mutex
	reaped  bool
	frozen  bool
	stopped []stat // of other groups, stopped with it
	froze   bool   // was frozen at some time since the last wake
}

var (
	errDied    = errors.New("the process ended")
	errTooLate = errors.New("the deadline passed")
	errFailed  = errors.New("the init or an extension failed")
)

// drainTime bounds the wait for the end of the output: a child in another process
// group may keep the pipe open for ever. It is a variable for the tests.
var drainTime = time.Second

// startProcess runs cmd, whose TMPDIR is tmp, and atExit when it has ended, before
// exited is closed.
func startProcess(cmd *exec.Cmd, tmp string, atExit func(*process)) (*process, error) {
	isolate(cmd)
	cmd.WaitDelay = drainTime
	p := &process{cmd: cmd, tmp: tmp, dead: make(chan struct{}), exited: make(chan struct{})}
	started := make(chan error)
	go p.run(started, atExit)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run keeps its thread as long as the process lives: with Pdeathsig, Linux kills the
// process when the thread that forked it ends, and the Go runtime may end a thread.
func (p *process) run(started chan<- error, atExit func(*process)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.reap()
	close(p.dead)
	atExit(p)
	close(p.exited)
}

// wait waits for an event of the process. It returns an error if a failure, the end of
// the process, the deadline or the end of ctx comes first.
func (p *process) wait(ctx context.Context, event, failed <-chan struct{}, deadline time.Time) error {
	return p.offer(ctx, nil, nil, event, failed, deadline)
}

// offer is like wait, and also ends when the queue accepts the invocation.
func (p *process) offer(ctx context.Context, queue chan<- *invocation, inv *invocation, event, failed <-chan struct{}, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case queue <- inv:
		return nil
	case <-event:
		return nil
	case <-failed:
		return errFailed
	case <-p.dead:
		<-p.exited
		return errDied
	case <-timer.C:
		return errTooLate
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends the process, its group and its other descendants, and returns when they
// have ended.
func (p *process) kill() {
	p.mu.Lock()
	if !p.reaped {
		killAll(p.cmd.Process, p.tmp)
	}
	p.mu.Unlock()
	<-p.exited
}

// terminate sends SIGTERM and kills the process at the deadline.
func (p *process) terminate(deadline time.Time) {
	_ = p.thaw()
	p.mu.Lock()
	if !p.reaped {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	p.mu.Unlock()
	select {
	case <-p.dead:
	case <-time.After(time.Until(deadline)):
	}
	p.kill()
}

// bury kills the processes that the process left behind. No signal is sent after it.
func (p *process) bury() {
	p.mu.Lock()
	defer p.mu.Unlock()
	killAll(p.cmd.Process, p.tmp)
	p.reaped = true
}

// freeze returns when the process has stopped.
func (p *process) freeze() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped || p.frozen {
		return nil
	}
	stopped, err := stopAll(p.pid(), p.tmp)
	if err != nil {
		return err
	}
	p.stopped, p.frozen, p.froze = stopped, true, true
	return nil
}

func (p *process) thaw() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped || !p.frozen {
		return nil
	}
	p.frozen = false
	return continueAll(p.pid(), p.stopped)
}

// wake thaws the process for an invocation and reports whether it had been
// frozen since the last one.
func (p *process) wake() (thawed bool, err error) {
	err = p.thaw()
	p.mu.Lock()
	defer p.mu.Unlock()
	thawed, p.froze = p.froze, p.frozen
	return thawed, err
}

// settle ends an invocation: after a freeze and a thaw within it, the next one is not
// Thawed.
func (p *process) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.froze = p.frozen
}
