package host

import (
	"encoding/json"
	"time"
)

// Result is the outcome of an invocation.
type Result struct {
	// Payload is the function's response. It is nil if there was none; after
	// an error in the middle of a streamed response it is what came before.
	Payload []byte

	// FunctionError says how the function failed, nil if it did not.
	FunctionError *FunctionError

	// InitFailed reports that the process ended, or was killed, before it waited for
	// its first event. FunctionError says why.
	InitFailed bool

	// Output is the end of what the process printed, if Died.
	Output string

	// Streamed reports that the function declared its response a stream.
	Streamed bool

	// Died reports that the process ended during this invocation, whatever it
	// had answered before. Its memory is lost. On Lambda its temporary files
	// are not, and the next invocation is Restarted; on OpenWhisk they are, and
	// the next one is Cold.
	Died bool

	// Start says what the invocation found.
	Start StartKind

	// Pid is the process that served the invocation.
	Pid int

	// RequestID is the function's AwsRequestID, the action's activation id.
	RequestID string

	// Init is the time from the start of the process until it asked for its
	// first event, or acknowledged its start. Zero unless Start is Cold or Restarted.
	Init time.Duration

	// FirstByte is the time from handing out the event to the arrival of the first
	// byte of the response; Duration if there was none.
	FirstByte time.Duration

	// Duration is the time from handing out the event to the arrival of the
	// whole response, or to the end of an invocation that had none. What the
	// function does between its response and its next request for an event is
	// not in it, though a Lambda's Invoke waits for that too.
	Duration time.Duration
}

// StartKind says what an invocation found in its environment.
type StartKind int

const (
	Cold      StartKind = iota // nothing: a new process with an empty directory for temporary files
	Restarted                  // a new process, with the temporary files of the one that died
	Warm                       // the process of the last invocation
	Thawed                     // the same, and it had been frozen since
)

// String returns "cold", "restarted", "warm" or "thawed".
func (k StartKind) String() string {
	return [...]string{"cold", "restarted", "warm", "thawed"}[k]
}

// The types of the errors that a host reports on behalf of a function that
// cannot. They are Lambda's, and are used for OpenWhisk too, which has none.
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
	// Type is what the function called it: with aws-lambda-go, the name of the
	// error's Go type. Or one of the Error constants.
	Type string `json:"errorType"`

	Message string `json:"errorMessage"`

	// Stack is the stack trace as the function posted it, usually only for a
	// panic. Its form depends on the function's runtime.
	Stack json.RawMessage `json:"stackTrace,omitempty"`
}

func (e *FunctionError) Error() string {
	return e.Type + ": " + e.Message
}

// parseFunctionError reads a posted error. A function may post anything, so
// what is no error object becomes the message.
func parseFunctionError(header string, body []byte) *FunctionError {
	e := new(FunctionError)
	if err := json.Unmarshal(body, e); err != nil {
		e = &FunctionError{Message: string(body)}
	}
	if e.Type == "" {
		e.Type = header
	}
	return e
}
