// Package action runs one handler on the host that its process finds itself on:
// AWS Lambda or OpenWhisk. The handler knows neither. It gets a context that
// ends with the invocation's deadline and its event as a Go value, and returns a
// value or an error:
//
//	func main() { action.Run(handle) }
//
//	func handle(ctx context.Context, in In) (Out, error) { ... }
//
// Event and answer are JSON, as encoding/json has it, and are the same bytes on
// both hosts. OpenWhisk takes no answers but objects and arrays, and calls an
// answer with a member "error" a failure.
package action

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

// Handler is what users write. On Lambda with AWS_LAMBDA_MAX_CONCURRENCY it is
// called by several goroutines at once.
type Handler[In, Out any] = func(context.Context, In) (Out, error)

// Run serves handler for as long as the process lives. On a host that it does
// not know it says so and exits with status 2.
//
// A panic of handler ends the process on both hosts, because nobody knows what
// it has left half done. Lambda is told the panic. OpenWhisk is not: an action
// that answers is taken for healthy, and the next activation would meet a dead
// process. It sees the process exit, and the panic is in the action's log.
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

// onOpenWhisk looks for any of its variables: which ones there are has changed
// with its versions.
func onOpenWhisk() bool {
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "__OW_") {
			return true
		}
	}
	return false
}
