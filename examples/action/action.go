// Package action runs one handler on AWS Lambda or OpenWhisk, whichever host its
// process runs on. The handler does not depend on the host. It gets a context that
// ends at the invocation's deadline and the event as a Go value, and returns a
// value or an error:
//
//	func main() { action.Run(handle) }
//
//	func handle(ctx context.Context, in In) (Out, error) { ... }
//
// Event and answer are JSON, encoded as by encoding/json, with the same bytes on
// both hosts. OpenWhisk accepts only objects and arrays as answers, and treats an
// answer with a member "error" as a failure.
package action

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

// Handler is the user's function. On Lambda with AWS_LAMBDA_MAX_CONCURRENCY,
// several goroutines call it at once.
type Handler[In, Out any] = func(context.Context, In) (Out, error)

// Run serves handler for as long as the process lives. On an unknown host it prints
// an error and exits with status 2.
//
// A panic of handler ends the process on both hosts, because the state of the
// process is unknown after it. Lambda gets the panic as an error. OpenWhisk only
// sees the process exit, and the panic is in the log: OpenWhisk would regard an
// action that still answers as healthy, and would send it the next activation.
func Run[In, Out any](handler Handler[In, Out]) {
	switch {
	case os.Getenv("AWS_LAMBDA_RUNTIME_API") != "":
		lambda.Start(handler)
	case onOpenWhisk():
		if err := loop(os.Stdin, results(), call(handler)); err != nil {
			fmt.Fprintln(os.Stderr, "action:", err)
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "action: this is a program for AWS Lambda (AWS_LAMBDA_RUNTIME_API) or OpenWhisk (__OW_...), and runs on neither")
		os.Exit(2)
	}
}

// onOpenWhisk checks several of its variables, because their set differs between
// versions.
func onOpenWhisk() bool {
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "__OW_") {
			return true
		}
	}
	return false
}
