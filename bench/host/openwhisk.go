package host

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// OpenWhisk describes an action: an executable that speaks the ActionLoop, as
// OpenWhisk's Go runtime builds them. Only Binary is required. It is a plain
// value: any number of containers can be made from it.
//
// https://github.com/apache/openwhisk-runtime-actionloop
type OpenWhisk struct {
	// Binary is the path of the action's program, the file that is called exec
	// in an OpenWhisk container. Its directory is the working directory of the
	// process.
	Binary string

	// Args are the program's arguments. Default: none, as on OpenWhisk.
	Args []string

	// Env holds the action's own variables as "KEY=value" (OpenWhisk's init
	// parameters). They win over those that the host sets. The host's own
	// environment is never inherited. Two of them mean something to the host too:
	//
	//   - __OW_EXECUTION_ENV is the image that the action runs in, as every image
	//     for Go since 1.15 sets it, for example openwhisk/action-golang-v1.24. The
	//     file exec.env beside Binary must then hold the same text, or no container
	//     starts. Default: absent, as in actionloop-base, which accepts any Binary.
	//   - __OW_WAIT_FOR_ACK, if it is set empty, makes the host not wait until the
	//     action acknowledges its start. Default: 1.
	Env []string

	// Timeout is how long an activation may take before its container is
	// destroyed. The init of a container may take as long again. Zero or
	// negative: 60 s, OpenWhisk's default.
	Timeout time.Duration

	// Name of the action, with its package if it has one: "shop/quote".
	// Default: "action".
	Name string

	// Version of the action. Default: "0.0.1".
	Version string

	// Namespace of the action. OpenWhisk never lets two namespaces share a
	// container, though all end users of a web action do. Default: "guest".
	Namespace string

	// Logs receives the action's stdout and stderr, without the
	// XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX of OpenWhisk's proxy. A line may arrive
	// shortly after Invoke has returned, unless the process died. Logs must be safe
	// for concurrent use if several containers run at once. Its errors are ignored.
	// Default: discarded.
	Logs io.Writer
}

// Container returns a Container for the action. It starts no process: the first Invoke
// is the cold start. The caller must Close it.
//
// It is an error if Binary cannot be found or executed.
func (w OpenWhisk) Container() (*Container, error) {
	w = w.withDefaults()
	binary, home, err := prepare(w.Binary)
	if err != nil {
		return nil, w.errorf("container", err)
	}
	w.Binary = binary
	c := &Container{action: w}
	c.life = newLife(1, home, w.errorf, c.destroy)
	return c, nil
}

func (w OpenWhisk) withDefaults() OpenWhisk {
	w.Timeout = cmp.Or(max(w.Timeout, 0), time.Minute)
	w.Name = cmp.Or(w.Name, "action")
	w.Version = cmp.Or(w.Version, "0.0.1")
	w.Namespace = cmp.Or(w.Namespace, "guest")
	return w
}

// fullName is the action's name as the action sees it.
func (w OpenWhisk) fullName() string { return "/" + w.Namespace + "/" + w.Name }

func (w OpenWhisk) errorf(operation string, err error) error {
	return fmt.Errorf("host: %s of action %s: %w", operation, w.fullName(), err)
}

// variable returns the value of a variable in Env, or otherwise.
func (w OpenWhisk) variable(name, otherwise string) string {
	for _, v := range slices.Backward(w.Env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return otherwise
}

// checkImage makes the check of OpenWhisk's proxy before it starts a program. The
// message is the proxy's, with the cause from its log.
func (w OpenWhisk) checkImage() *FunctionError {
	image := w.variable("__OW_EXECUTION_ENV", "")
	if image == "" {
		return nil
	}
	file := filepath.Join(filepath.Dir(w.Binary), "exec.env")
	b, err := os.ReadFile(file)
	switch {
	case err != nil:
		return &FunctionError{Type: ErrorStart, Message: fmt.Sprintf(
			"Cannot start action. Check logs for details. (%v; it must hold %q)", err, image)}
	case string(b) != image:
		return &FunctionError{Type: ErrorStart, Message: fmt.Sprintf(
			"Cannot start action. Check logs for details. (version mismatch: %s holds %q, and the image is %q)", file, b, image)}
	}
	return nil
}
