package host

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Request is an event with its metadata. Every field may be empty.
type Request struct {
	// Event is passed to the function unchanged; Lambda itself accepts JSON only.
	// Default: {}.
	Event []byte

	// ID is the function's AwsRequestID. Lambda repeats it when it retries an
	// asynchronous invocation. Of the invocations that are under way at the
	// same time no two may have the same. Default: a new random one.
	ID string

	// TraceID is the X-Ray header. Default: a new one that is not sampled.
	TraceID string

	// TenantID is the tenant of a function in tenant isolation mode. Lambda
	// never lets two tenants share an environment; here the caller must not.
	TenantID string

	// ClientContext and CognitoIdentity are JSON objects for the function's
	// context. Default: absent.
	ClientContext, CognitoIdentity string
}

// The limits of a synchronous invocation.
const (
	maxEvent    = 6 << 20
	maxResponse = 6<<20 + 100
	maxStream   = 200 << 20 // of a streamed response
)

func (r Request) withDefaults() Request {
	if len(r.Event) == 0 {
		r.Event = []byte("{}")
	}
	r.ID, r.TraceID = cmp.Or(r.ID, newRequestID()), cmp.Or(r.TraceID, newTraceID())
	return r
}

// invocation is a Request on its way through a process.
type invocation struct {
	Request
	arn      string
	deadline time.Time
	begun    time.Time
	taken    bool          // by a request for the next event
	over     chan struct{} // closed when the runtime has answered and it and the extensions wait for the next event; in a shared process, when it has answered
	failed   *answer       // of an init that failed
	leave    func()        // releases the invocation's turn, once

	// guarded by runtimeAPI.mu
	answer    *answer // nil until the response or the error has arrived
	released  bool    // the runtime has answered and requested the next event
	abandoned bool    // its caller has returned; the function is still running
}

// answer is a response or an error that the function posted.
type answer struct {
	payload   []byte
	err       *FunctionError
	streamed  bool
	firstByte time.Time // zero for an empty one
	arrived   time.Time
}

// handOut answers a request for the next event with the invocation.
func (i *invocation) handOut(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", i.ID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", i.arn)
	h.Set("Lambda-Runtime-Trace-Id", i.TraceID)
	for key, value := range map[string]string{"Aws-Tenant-Id": i.TenantID, "Client-Context": i.ClientContext, "Cognito-Identity": i.CognitoIdentity} {
		if value != "" {
			h.Set("Lambda-Runtime-"+key, value)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(i.Event)))
	_, _ = w.Write(i.Event) // a function that has died is detected elsewhere
}

// failure returns an error that Lambda reports for the function.
func (i *invocation) failure(kind, format string, args ...any) *FunctionError {
	return &FunctionError{Type: kind, Message: "RequestId: " + i.ID + " Error: " + fmt.Sprintf(format, args...)}
}
