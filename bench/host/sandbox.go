package host

import "context"

// Sandbox is an Environment of Lambda or a Container of OpenWhisk. It runs one function,
// in one process at a time, until it is closed.
//
// The two differ after a crash: a Lambda is Restarted with its temporary files, and
// OpenWhisk starts Cold, in a new container.
type Sandbox interface {
	Invoke(ctx context.Context, event []byte) (Result, error)
	Freeze() error
	Thaw() error
	Crash()
	Close() error
	Tmp() string
	Pid() int
}
