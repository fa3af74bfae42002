package host

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// process is a function's process, the leader of a process group of its own.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it is reaped, its group killed, its output read

	// mu is also held while a signal is sent, and reaping takes it first: a
	// signal can never reach a process that was given the pid of a dead one.
	mu     sync.Mutex
	gone   bool
	frozen bool
	froze  bool // frozen at some time since the last wake
}

var (
	errDied    = errors.New("the process ended")
	errTooLate = errors.New("the deadline passed")
)

// drainTime bounds the wait for the end of the output: a child that left the
// process group may keep the pipe open for ever.
const drainTime = time.Second

// startProcess runs cmd, and atExit when it has ended, before exited is closed.
func startProcess(cmd *exec.Cmd, atExit func()) (*process, error) {
	return startProcessIn(nil, cmd, atExit)
}

// startProcessIn is startProcess from a thread of its own, on which it calls
// enter first: what that changes about the thread, the process inherits.
func startProcessIn(enter func() error, cmd *exec.Cmd, atExit func()) (*process, error) {
	isolate(cmd)
	cmd.WaitDelay = drainTime
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	if enter == nil {
		go p.run(started, atExit)
	} else {
		go onThrowawayThread(func() {
			if err := enter(); err != nil {
				started <- err
				return
			}
			p.run(started, atExit)
		})
	}
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// onThrowawayThread runs f on a thread that ends with it: a goroutine that ends
// without unlocking its thread takes it along.
func onThrowawayThread(f func()) {
	runtime.LockOSThread()
	if !onMainThread() {
		f()
		return
	}
	// The main thread cannot end, and /proc/self is about it. It is held here,
	// so the next goroutine gets another one.
	done := make(chan struct{})
	go func() {
		defer close(done)
		onThrowawayThread(f)
	}()
	<-done
	runtime.UnlockOSThread()
}

// run keeps its thread as long as the process lives: Linux takes the end of the
// thread that forked for the end of the parent (Pdeathsig), and the Go runtime
// ends a thread when a goroutine ends that is locked to it.
func (p *process) run(started chan<- error, atExit func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.reap()
	atExit()
	close(p.exited)
}

// await is wait, but if there is an error, the process is dead when it returns.
func (p *process) await(ctx context.Context, event <-chan struct{}, deadline time.Time) error {
	err := p.wait(ctx, event, deadline)
	if err != nil {
		p.kill()
	}
	return err
}

// wait waits for an event of the process, and says what came first if it is
// something else.
func (p *process) wait(ctx context.Context, event <-chan struct{}, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-event:
		return nil
	case <-p.exited:
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

// kill ends the process and its group, and returns when they are gone.
func (p *process) kill() {
	p.mu.Lock()
	if !p.gone {
		killGroup(p.cmd.Process)
	}
	p.mu.Unlock()
	<-p.exited
}

// bury kills what the process left behind and lets no signal be sent any more.
func (p *process) bury() {
	p.mu.Lock()
	defer p.mu.Unlock()
	killGroup(p.cmd.Process)
	p.gone = true
}

// freeze returns when the process stands still.
func (p *process) freeze() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.frozen {
		return nil
	}
	if err := stopGroup(p.pid()); err != nil {
		return err
	}
	p.frozen, p.froze = true, true
	return nil
}

func (p *process) thaw() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || !p.frozen {
		return nil
	}
	p.frozen = false
	return continueGroup(p.pid())
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

// settle ends an invocation: a freeze that came and went within it does not
// make the next one Thawed.
func (p *process) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.froze = p.frozen
}
