package host

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sync/semaphore"
)

// life has the common parts of an Environment and a Container. P is their process with
// its protocol; the zero P means no process.
type life[P running] struct {
	turns   *semaphore.Weighted // of invocations at the same time
	dir     string              // removed by Close
	errorf  func(operation string, err error) error
	destroy func(process P) // for Crash
	closing func() error    // end, once

	mu      sync.Mutex
	process P // perhaps dead
	closed  bool
}

type running interface {
	comparable
	alive() bool
	pid() int
	freeze() error
	thaw() error
	wake() (thawed bool, err error)
	stop(reason string)
}

func newLife[P running](concurrency int, dir string, errorf func(string, error) error, destroy func(P)) *life[P] {
	l := &life[P]{turns: semaphore.NewWeighted(int64(concurrency)), dir: dir, destroy: destroy, errorf: func(operation string, err error) error {
		if err == nil {
			return nil
		}
		return errorf(operation, err)
	}}
	l.closing = sync.OnceValue(l.end)
	return l
}

// Pid returns the id of the function's process, 0 if there is none.
func (l *life[P]) Pid() int {
	if p, ok := l.live(); ok {
		return p.pid()
	}
	return 0
}

// Freeze stops the process and its children, and returns when the process has stopped.
// The clouds freeze between two invocations. In the middle of an invocation its Timeout
// continues, and a function that is not thawed in time is killed.
//
// Freeze does nothing if there is no process or it is frozen already. Except on Linux
// it returns an errors.ErrUnsupported.
func (l *life[P]) Freeze() error {
	if p, ok := l.live(); ok {
		return l.errorf("freeze", p.freeze())
	}
	return nil
}

// Thaw resumes a frozen process, as the next Invoke would. That Invoke is Thawed in
// both cases.
func (l *life[P]) Thaw() error {
	if p, ok := l.live(); ok {
		return l.errorf("thaw", p.thaw())
	}
	return nil
}

// Crash kills the process (SIGKILL), as the kernel does when memory runs out, and
// returns when it is dead. An Invoke under way ends with ErrorExit. On Lambda the
// temporary files stay, and the next Invoke is Restarted; on OpenWhisk they are
// removed, and the next Invoke is Cold. It does nothing if there is no process.
func (l *life[P]) Crash() {
	l.mu.Lock()
	p := l.process
	l.mu.Unlock()
	var none P
	if p != none {
		l.destroy(p)
	}
}

// Close ends the process and removes the temporary files. The process gets no
// notice, as on its cloud, unless a Lambda function has registered an extension:
// see [Lambda.Extensions]. An Invoke under way returns an error that is
// os.ErrClosed. Calling Close more than once is safe: later calls wait for the
// first and return its error.
func (l *life[P]) Close() error { return l.closing() }

func (l *life[P]) end() error {
	l.mu.Lock()
	l.closed = true
	p := l.process
	l.mu.Unlock()
	var none P
	if p != none {
		p.stop("spindown")
	}
	err := os.RemoveAll(l.dir)
	for range 10 { // a child that has just been killed may still have written
		if !errors.Is(err, os.ErrExist) {
			break
		}
		err = os.RemoveAll(l.dir)
	}
	return l.errorf("close", err)
}

// outcome returns a Result or an error, not both.
func (l *life[P]) outcome(res Result, err error) (Result, error) {
	if err != nil {
		return Result{}, l.errorf("invoke", err)
	}
	return res, nil
}

// live returns the process unless it is dead.
func (l *life[P]) live() (p P, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var none P
	return l.process, l.process != none && l.process.alive()
}

func (l *life[P]) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// wake readies a process for an invocation.
func wake[P running](p P) (P, StartKind, error) {
	thawed, err := p.wake()
	if thawed {
		return p, Thawed, err
	}
	return p, Warm, err
}
