package host

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Lambda describes a function. Only Binary is required. It is a plain value:
// any number of environments can be made from it.
type Lambda struct {
	// Binary is the path of the function's program, the file that is called
	// bootstrap on Lambda. Its directory is LAMBDA_TASK_ROOT and the working
	// directory of the process.
	Binary string

	// Args are the program's arguments. Default: none, as on Lambda.
	Args []string

	// Handler is the function's handler as it is configured, _HANDLER to the
	// function. Default: the name of Binary's file.
	Handler string

	// Extensions are the paths of external extensions, programs that register with
	// the Extensions API under the name of their file. They are started before the
	// function and share its temporary files.
	//
	// With an extension, external or registered by the function itself, an
	// environment ends as on Lambda: at Close and after a time-out the function's
	// process gets SIGTERM, external extensions get SHUTDOWN, and SIGKILL follows
	// after 500 ms, or 2 s with external ones. Without any, there is only SIGKILL.
	Extensions []string

	// Env holds further variables as "KEY=value". They win over those that the
	// host sets. The host's own environment is never inherited.
	Env []string

	// Timeout is how long one invocation may take before its process is
	// killed. Zero or negative: 3 s, Lambda's default.
	Timeout time.Duration

	// Concurrency is how many invocations the process has at once, as on Lambda
	// Managed Instances (AWS_LAMBDA_MAX_CONCURRENCY). Zero or negative: 1.
	//
	// With more than one, Timeout kills nothing: an invocation that takes longer
	// is answered as timed out, its code continues, and it occupies its place until
	// it ends. The same is true if the ctx of its Invoke ends. An invocation is over
	// when its response has arrived. When a panic or another failure ends one of its
	// loops, aws-lambda-go fetches no more events, finishes the invocations under way
	// and exits; later invocations wait for the new process, which has InitTimeout.
	// Lambda never freezes an environment of this kind, though Freeze does.
	Concurrency int

	// InitTimeout is how long the first process of an environment may take until it
	// requests its first event. Later processes have Timeout for their init and their
	// first invocation together. Zero or negative: 10 s, Lambda's limit.
	InitTimeout time.Duration

	// MemoryMB is passed to the function and not enforced. Zero or negative:
	// 128, Lambda's default.
	MemoryMB int

	// Name of the function. Default: "function".
	Name string

	// Version of the function. Default: "$LATEST".
	Version string

	// Logs receives the function's stdout and stderr. A line may arrive shortly after
	// Invoke has returned, unless the process died. Logs must be safe for concurrent
	// use if several environments run at once. Its errors are ignored. Default:
	// discarded.
	Logs io.Writer
}

// Environment makes a new execution environment with an empty directory for
// temporary files. It has no process yet: the first Invoke is the cold start.
// The caller must Close it.
//
// It is an error if Binary cannot be found or executed.
func (l Lambda) Environment() (*Environment, error) {
	l = l.withDefaults()
	extensions := slices.Clone(l.Extensions)
	for n, e := range extensions {
		var err error
		if extensions[n], err = executable(e); err != nil {
			return nil, l.errorf("environment", fmt.Errorf("extension: %w", err))
		}
	}
	binary, tmp, err := prepare(l.Binary)
	if err != nil {
		return nil, l.errorf("environment", err)
	}
	l.Binary, l.Extensions, l.Handler = binary, extensions, cmp.Or(l.Handler, filepath.Base(binary))
	return &Environment{newLife(l.Concurrency, tmp, l.errorf, (*instance).kill), l, l.newLogStream()}, nil
}

func (l Lambda) withDefaults() Lambda {
	l.Timeout = cmp.Or(max(l.Timeout, 0), 3*time.Second)
	l.InitTimeout = cmp.Or(max(l.InitTimeout, 0), 10*time.Second)
	l.Concurrency = cmp.Or(max(l.Concurrency, 0), 1)
	l.MemoryMB = cmp.Or(max(l.MemoryMB, 0), 128)
	l.Name = cmp.Or(l.Name, "function")
	l.Version = cmp.Or(l.Version, "$LATEST")
	return l
}

func (l Lambda) errorf(operation string, err error) error {
	return fmt.Errorf("host: %s of lambda %s: %w", operation, l.Name, err)
}

// prepare returns the absolute path of a program, and a new directory for its temporary
// files.
func prepare(program string) (binary, tmp string, err error) {
	if binary, err = executable(program); err == nil {
		tmp, err = os.MkdirTemp("", "warmcache-host-")
	}
	return binary, tmp, err
}

// executable returns the absolute path of a program that can be run. Without it the
// first invocation would report a typing error, and PATH would be searched for a bare
// name.
func executable(path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("no Binary given")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return exec.LookPath(abs)
}
