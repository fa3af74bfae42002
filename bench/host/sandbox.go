package host

import "context"

// Sandbox is what the hosts have in common: a place where one function runs,
// one process at a time, until it is closed. A runner that knows nothing else
// can drive a function through its life on either of them.
//
// An Environment of Lambda and a Container of OpenWhisk differ in what a crash
// leaves: a Lambda is Restarted, with its temporary files, and OpenWhisk starts
// Cold, in a new container.
type Sandbox interface {
	Invoke(ctx context.Context, event []byte) (Result, error)
	Freeze() error
	Thaw() error
	Crash()
	Close() error
	Tmp() string
	Pid() int
}

var (
	_ Sandbox = (*Environment)(nil)
	_ Sandbox = (*Container)(nil)
)
