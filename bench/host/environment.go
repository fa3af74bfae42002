package host

import (
	"os"
	"sync"
)

// Environment is an execution environment of a Lambda: a directory for
// temporary files and, from the first Invoke on, a process. Processes come and
// go within it; the files stay until Close.
//
// Its methods are safe for concurrent use. In particular Freeze, Thaw, Crash
// and Close may be called in the middle of an Invoke.
type Environment struct {
	lambda    Lambda
	tmp       string
	logStream string
	turns     turns
	close     func() error

	mu       sync.Mutex
	instance *instance // the last process, perhaps dead; nil before the first
	closed   bool
}

func newEnvironment(l Lambda, tmp string) *Environment {
	e := &Environment{lambda: l, tmp: tmp, logStream: l.newLogStream(), turns: make(turns, l.Concurrency)}
	e.close = sync.OnceValue(e.end)
	return e
}

// Tmp returns the directory that the function has as os.TempDir.
func (e *Environment) Tmp() string { return e.tmp }

// Pid returns the id of the function's process, 0 if there is none.
func (e *Environment) Pid() int {
	if i := e.live(); i != nil {
		return i.pid()
	}
	return 0
}

// Freeze stops the process and its children where they are, and returns when
// the process stands still. Between two invocations that is at its request for
// the next event, where Lambda does it; in the middle of one the clock of its
// Timeout runs on, and a function that is not thawed in time is killed.
//
// It does nothing if there is no process or it is frozen already. Except on
// Linux the error is an errors.ErrUnsupported.
func (e *Environment) Freeze() error {
	if i := e.live(); i != nil {
		return e.errorf("freeze", i.freeze())
	}
	return nil
}

// Thaw lets a frozen process go on. The next Invoke, which would thaw it too,
// is Thawed all the same.
func (e *Environment) Thaw() error {
	if i := e.live(); i != nil {
		return e.errorf("thaw", i.thaw())
	}
	return nil
}

// Crash kills the process (SIGKILL), as the kernel does when memory runs out,
// and returns when it is dead. An Invoke under way ends with ErrorExit. The
// temporary files stay, and the next Invoke is Restarted. It does nothing if
// there is no process.
func (e *Environment) Crash() {
	if i := e.live(); i != nil {
		i.kill()
	}
}

// Close ends the environment: the process is killed, without any notice as on
// Lambda, and the temporary files are removed. An Invoke under way returns an
// error that is os.ErrClosed. Further calls wait for the first and return the
// same.
func (e *Environment) Close() error { return e.close() }

func (e *Environment) end() error {
	e.mu.Lock()
	e.closed = true
	i := e.instance
	e.mu.Unlock()
	if i != nil {
		i.kill()
	}
	return e.errorf("close", removeTmp(e.tmp))
}

// live returns the instance unless it is dead.
func (e *Environment) live() *instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.instance != nil && e.instance.alive() {
		return e.instance
	}
	return nil
}

// ready returns an instance that runs, a new one if need be.
func (e *Environment) ready() (*instance, StartKind, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, 0, os.ErrClosed
	case e.instance == nil:
		return e.start(Cold)
	case !e.instance.alive():
		return e.start(Restarted)
	}
	thawed, err := e.instance.wake()
	if thawed {
		return e.instance, Thawed, err
	}
	return e.instance, Warm, err
}

func (e *Environment) start(kind StartKind) (*instance, StartKind, error) {
	i, err := startInstance(e.lambda, e.logStream, e.tmp)
	if err != nil {
		return nil, 0, err
	}
	e.instance = i
	return i, kind, nil
}

func (e *Environment) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

func (e *Environment) errorf(operation string, err error) error {
	if err == nil {
		return nil
	}
	return e.lambda.errorf(operation, err)
}
