package host

import (
	"os"
	"path/filepath"
	"sync"
)

// Container is where the containers of an OpenWhisk action run, one after the
// other: each is a process with a directory for temporary files, and both go
// together.
//
// Its methods are safe for concurrent use. In particular Freeze, Thaw, Crash
// and Close may be called in the middle of an Invoke.
type Container struct {
	action OpenWhisk
	home   string // holds the temporary files; nobody else can put anything into it
	turns  turns
	close  func() error

	mu     sync.Mutex
	loop   *actionLoop // the process, perhaps dead; nil if there is no container
	closed bool
}

func newContainer(w OpenWhisk, home string) *Container {
	c := &Container{action: w, home: home, turns: make(turns, 1)}
	c.close = sync.OnceValue(c.end)
	return c
}

// Tmp returns the directory that the action has as os.TempDir. It exists while
// there is a container.
func (c *Container) Tmp() string { return filepath.Join(c.home, "tmp") }

// Pid returns the id of the action's process, 0 if there is none.
func (c *Container) Pid() int {
	if l := c.live(); l != nil {
		return l.pid()
	}
	return 0
}

// Freeze pauses the container, as OpenWhisk does some time after an activation:
// the process and its children stop where they are, and Freeze returns when the
// process stands still. In the middle of an activation, where OpenWhisk never
// does it, the clock of its Timeout runs on.
//
// It does nothing if there is no process or it is frozen already. Except on
// Linux the error is an errors.ErrUnsupported.
func (c *Container) Freeze() error {
	if l := c.live(); l != nil {
		return c.errorf("freeze", l.freeze())
	}
	return nil
}

// Thaw resumes a frozen container. The next Invoke, which would resume it too,
// is Thawed all the same.
func (c *Container) Thaw() error {
	if l := c.live(); l != nil {
		return c.errorf("thaw", l.thaw())
	}
	return nil
}

// Crash destroys the container and its temporary files, as when its machine
// fails or OpenWhisk wants the room, and returns when they are gone. An Invoke
// under way ends with ErrorExit. The next Invoke is Cold. It does nothing if
// there is no container.
func (c *Container) Crash() {
	c.mu.Lock()
	l := c.loop
	c.mu.Unlock()
	if l != nil {
		c.destroy(l)
	}
}

// Close ends it all: the process is killed, without any notice as on OpenWhisk,
// and the temporary files are removed. An Invoke under way returns an error
// that is os.ErrClosed. Further calls wait for the first and return the same.
func (c *Container) Close() error { return c.close() }

func (c *Container) end() error {
	c.mu.Lock()
	c.closed = true
	l := c.loop
	c.mu.Unlock()
	if l != nil {
		l.kill()
	}
	return c.errorf("close", removeTmp(c.home))
}

// destroy ends the process and removes its temporary files, unless that has
// been done and another has taken its place.
func (c *Container) destroy(l *actionLoop) {
	l.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loop == l {
		c.loop = nil
		_ = removeTmp(c.Tmp()) // what is left is an error of the next start
	}
}

// live returns the action loop unless its process is dead.
func (c *Container) live() *actionLoop {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loop != nil && c.loop.alive() {
		return c.loop
	}
	return nil
}

// ready returns the action loop, a new one if there is no container. It may be
// that of a dead process: that OpenWhisk finds out only by using it.
func (c *Container) ready(a Activation) (*actionLoop, StartKind, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, 0, os.ErrClosed
	case c.loop == nil:
		return c.start(a)
	}
	thawed, err := c.loop.wake()
	if thawed {
		return c.loop, Thawed, err
	}
	return c.loop, Warm, err
}

func (c *Container) start(a Activation) (*actionLoop, StartKind, error) {
	if err := removeTmp(c.Tmp()); err != nil {
		return nil, 0, err
	}
	if err := os.Mkdir(c.Tmp(), 0o700); err != nil {
		return nil, 0, err
	}
	l, err := startActionLoop(c.action, a, c.Tmp())
	if err != nil {
		return nil, 0, err
	}
	c.loop = l
	return l, Cold, nil
}

func (c *Container) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *Container) errorf(operation string, err error) error {
	if err == nil {
		return nil
	}
	return c.action.errorf(operation, err)
}
