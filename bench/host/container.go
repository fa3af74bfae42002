package host

import (
	"errors"
	"os"
	"path/filepath"
)

// Container runs the containers of an OpenWhisk action, one after the other. Each is a
// process with a directory for temporary files, which is removed with it.
//
// Its methods are safe for concurrent use. In particular Freeze, Thaw, Crash
// and Close may be called in the middle of an Invoke.
type Container struct {
	*life[*actionLoop]
	action OpenWhisk
}

// Tmp returns the action's os.TempDir. It exists as long as the container.
func (c *Container) Tmp() string { return filepath.Join(c.dir, "tmp") }

// destroy ends the process and removes its temporary files, unless another process has
// taken its place.
func (c *Container) destroy(l *actionLoop) {
	l.kill()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == l {
		c.process = nil
		_ = os.RemoveAll(c.Tmp()) // the next start reports an error
	}
}

// ready returns the action loop, a new one if there is no container. Its process may be
// dead: OpenWhisk detects that only by using it.
func (c *Container) ready(a Activation) (*actionLoop, StartKind, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, 0, os.ErrClosed
	case c.process != nil:
		return wake(c.process)
	}
	if err := errors.Join(os.RemoveAll(c.Tmp()), os.Mkdir(c.Tmp(), 0o700)); err != nil {
		return nil, 0, err
	}
	l, err := startActionLoop(c.action, a, c.Tmp())
	if err == nil {
		c.process = l
	}
	return l, Cold, err
}
