package host

import (
	"context"
	"os"
)

// Environment is an execution environment of a Lambda: a directory for temporary files
// and, from the first Invoke on, a process. A process that dies is replaced at the next
// Invoke; the files stay until Close.
//
// Its methods are safe for concurrent use. In particular Freeze, Thaw, Crash
// and Close may be called in the middle of an Invoke.
type Environment struct {
	*life[*instance]
	lambda    Lambda
	logStream string
}

// Tmp returns the function's os.TempDir.
func (e *Environment) Tmp() string { return e.dir }

// ready returns a running instance, a new one if necessary.
func (e *Environment) ready(ctx context.Context) (*instance, StartKind, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kind := Cold
	switch {
	case e.closed:
		return nil, 0, os.ErrClosed
	case e.process != nil && e.process.alive():
		return wake(e.process)
	case e.process != nil:
		kind = Restarted
	}
	i, err := startInstance(ctx, e.lambda, e.logStream, e.dir)
	if i != nil { // perhaps dead
		e.process = i
	}
	return i, kind, err
}
