package host

import (
	"cmp"
	"encoding/json"
	"time"
)

// Result is the outcome of an invocation.
type Result struct {
	// Payload is the function's response, nil if there was none. After an error in
	// the middle of a streamed response it is the part before the error.
	Payload []byte

	// FunctionError says how the function failed, nil if it did not.
	FunctionError *FunctionError

	// InitFailed reports that the process ended, or was killed, before it waited for
	// its first event. FunctionError says why.
	InitFailed bool

	// Output is the end of the process's output, if Died.
	Output string

	// Streamed reports that the function declared its response a stream.
	Streamed bool

	// Died reports that the process ended during this invocation, even if it had
	// answered before. Its memory is lost. On Lambda its temporary files are kept and
	// the next invocation is Restarted; on OpenWhisk they are lost and it is Cold.
	Died bool

	// Start is the state of the environment before the invocation.
	Start StartKind

	// Pid is the process that served the invocation.
	Pid int

	// RequestID is the function's AwsRequestID, the action's activation id.
	RequestID string

	// Init is the time from the start of the process until it requested its
	// first event, or acknowledged its start. Zero unless Start is Cold or Restarted.
	Init time.Duration

	// FirstByte is the time from sending the event to the arrival of the first
	// byte of the response; Duration if there was none.
	FirstByte time.Duration

	// Duration is the time from sending the event to the arrival of the
	// whole response, or to the end of an invocation without one. It does not include
	// the time between the response and the next request for an event, though a
	// Lambda's Invoke waits for that too.
	Duration time.Duration
}

// StartKind is the state of an environment before an invocation.
type StartKind int

const (
	Cold      StartKind = iota // empty: a new process with an empty directory for temporary files
	Restarted                  // a new process, with the temporary files of the one that died
	Warm                       // the process of the last invocation
	Thawed                     // the process of the last invocation, which had been frozen since
)

// String returns "cold", "restarted", "warm" or "thawed".
func (k StartKind) String() string {
	return [...]string{"cold", "restarted", "warm", "thawed"}[k]
}

// The types of the errors that a host reports for a function. They are Lambda's, and
// are used for OpenWhisk too, which has none.
const (
	ErrorTimeout  = "Sandbox.Timedout"              // it took longer than Timeout and was killed
	ErrorExit     = "Runtime.ExitError"             // its process ended before it had answered
	ErrorTooLarge = "Function.ResponseSizeTooLarge" // its response was longer than 6 MB (streamed: 200 MB; OpenWhisk: 1 MB)
)

// And those that only OpenWhisk has.
const (
	ErrorApplication = "ApplicationError" // the result was {"error": ...}
	ErrorStart       = "CannotStart"      // the program is not for the image
	ErrorMalformed   = "MalformedResult"  // the result was not one line with a JSON object or array
)

// FunctionError is the failure of a function, in the form that Lambda gives it.
type FunctionError struct {
	// Type is one of the Error constants, or chosen by the function: aws-lambda-go
	// uses the name of the error's Go type.
	Type string `json:"errorType"`

	Message string `json:"errorMessage"`

	// Stack is the stack trace as the function posted it, usually only for a
	// panic. Its form depends on the function's runtime.
	Stack json.RawMessage `json:"stackTrace,omitempty"`
}

func (e *FunctionError) Error() string {
	return e.Type + ": " + e.Message
}

// parseFunctionError parses a posted error. A function may post anything: a body that
// is not an error object becomes the message.
func parseFunctionError(header string, body []byte) *FunctionError {
	e := new(FunctionError)
	if err := json.Unmarshal(body, e); err != nil {
		e = &FunctionError{Message: string(body)}
	}
	e.Type = cmp.Or(e.Type, header)
	return e
}
