package host

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"
)

// runtimeAPI is the Lambda Runtime API and the Extensions API for one process and its
// extensions. Each process has its own address: a late request of a killed process
// cannot be mistaken for one of its successor.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
type runtimeAPI struct {
	lambda Lambda
	server *http.Server
	addr   string
	work   sync.WaitGroup // the accept loop and the connections

	queue      chan *invocation // to requests for the next event
	registered chan struct{}    // closed when every external extension has registered
	ready      chan struct{}    // closed when the init is over: all wait for events
	failed     chan struct{}    // closed after a failure

	mu         sync.Mutex
	closed     bool
	asked      bool // the runtime has requested an event
	readyAt    time.Time
	failure    *FunctionError         // of the init, or of an extension at any time
	open       map[string]*invocation // sent to the runtime and not finished, by request id
	handedOut  chan struct{}          // closed and replaced when an event is sent
	extensions map[string]*extension  // by identifier
	expected   map[string]bool        // external extensions that have not registered
}

func newRuntimeAPI(lambda Lambda) (*runtimeAPI, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &runtimeAPI{
		lambda:     lambda,
		addr:       l.Addr().String(),
		queue:      make(chan *invocation),
		registered: make(chan struct{}),
		ready:      make(chan struct{}),
		failed:     make(chan struct{}),
		open:       map[string]*invocation{},
		handedOut:  make(chan struct{}),
		extensions: map[string]*extension{},
		expected:   map[string]bool{},
	}
	for _, e := range lambda.Extensions {
		a.expected[filepath.Base(e)] = true
	}
	if len(a.expected) == 0 {
		close(a.registered)
	}
	a.server = &http.Server{Handler: a.routes(), ConnState: a.count, ErrorLog: log.New(io.Discard, "", 0)}
	a.work.Go(func() { _ = a.server.Serve(l) })
	return a, nil
}

// shared reports that the process has several invocations at once.
func (a *runtimeAPI) shared() bool { return a.lambda.Concurrency > 1 }

// close returns when no request is being served any more.
func (a *runtimeAPI) close() {
	_ = a.server.Close()
	a.work.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, inv := range a.open {
		if inv.abandoned {
			inv.leave()
		}
	}
}

// abandon is called when the caller of the invocation returns. If the function is still
// running, the invocation keeps its turn until it ends.
func (a *runtimeAPI) abandon(inv *invocation) (running bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	inv.abandoned = inv.taken && inv.answer == nil && !a.closed
	return inv.abandoned
}

func (a *runtimeAPI) count(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		a.work.Add(1)
	case http.StateClosed, http.StateHijacked:
		a.work.Done()
	}
}

func (a *runtimeAPI) routes() http.Handler {
	const runtime, extension = "/2018-06-01/runtime/", " /2020-01-01/extension/"
	m := http.NewServeMux()
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET " + runtime + "invocation/next":           a.serveNext,
		"POST " + runtime + "invocation/{id}/response": a.serveResponse,
		"POST " + runtime + "invocation/{id}/error":    a.serveError,
		"POST " + runtime + "init/error":               a.serveInitError,
		"POST" + extension + "register":                a.serveRegister,
		"GET" + extension + "event/next":               a.serveEvent,
		"POST" + extension + "init/error":              a.serveExtensionError,
		"POST" + extension + "exit/error":              a.serveExtensionError,
		"PUT /2022-07-01/telemetry":                    unsupported("Telemetry"),
		"PUT /2020-08-15/logs":                         unsupported("Logs"),
		"GET /2018-06-01/ping":                         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "pong") },
	} {
		m.HandleFunc(pattern, handler)
	}
	return m
}

// unsupported answers as AWS's own emulator does. Subscribers accept that.
func unsupported(api string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusAccepted, api+".NotSupported", api+" API is not supported")
	}
}

// serveNext sends the next event. A runtime that repeats the request without having
// answered gets the same event again: a freeze may have cut its first connection.
func (a *runtimeAPI) serveNext(w http.ResponseWriter, r *http.Request) {
	for {
		inv, refused, handedOut := a.next()
		switch {
		case refused:
			refuse(w, http.StatusForbidden, "InvalidStateTransition", "the init has failed, or every place has an unanswered event")
			return
		case inv != nil:
			inv.handOut(w)
			return
		}
		select {
		case inv := <-a.queue:
			a.opened(inv)
			inv.handOut(w)
			return
		case <-handedOut:
		case <-r.Context().Done():
			return
		}
	}
}

// next records that the runtime requests an event. The request ends its init and the
// invocations that it has answered.
func (a *runtimeAPI) next() (again *invocation, refused bool, handedOut <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure != nil {
		return nil, true, nil
	}
	a.asked = true
	for _, inv := range a.open {
		inv.released = inv.answer != nil
		if !a.shared() && !inv.released {
			again = inv
		}
	}
	a.advance()
	return again, len(a.open) >= a.lambda.Concurrency && again == nil && a.shared(), a.handedOut
}

// advance ends the init and the released invocations, unless an extension is busy.
func (a *runtimeAPI) advance() {
	for _, e := range a.extensions {
		if !e.waiting && !a.shared() {
			return
		}
	}
	if len(a.expected) > 0 || !a.asked {
		return
	}
	if a.readyAt.IsZero() {
		a.readyAt = time.Now()
		close(a.ready)
	}
	for _, inv := range a.open {
		if inv.released {
			a.end(inv)
		}
	}
}

func (a *runtimeAPI) end(inv *invocation) {
	delete(a.open, inv.ID)
	close(inv.over)
}

func (a *runtimeAPI) opened(inv *invocation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[inv.ID] = inv
	close(a.handedOut)
	a.handedOut = make(chan struct{})
	for _, e := range a.extensions {
		if e.invoke {
			e.send(inv.event())
		}
	}
}

// fail ends the init, or an environment whose extension has failed.
func (a *runtimeAPI) fail(f *FunctionError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure == nil {
		a.failure = f
		close(a.failed)
	}
}

func (a *runtimeAPI) serveResponse(w http.ResponseWriter, r *http.Request) {
	limit := maxResponse
	switch mode := r.Header.Get("Lambda-Runtime-Function-Response-Mode"); mode {
	case "":
	case "streaming":
		limit = maxStream
	default:
		a.take(w, r, answer{err: &FunctionError{Type: "Runtime.InvalidResponseModeHeader",
			Message: fmt.Sprintf("Lambda-Runtime-Function-Response-Mode is %q: it must be streaming or absent", mode)}},
			func(w http.ResponseWriter) {
				refuse(w, http.StatusBadRequest, "InvalidFunctionResponseMode", "Invalid function response mode")
			})
		return
	}
	body := &timedReader{Reader: http.MaxBytesReader(w, r.Body, int64(limit))}
	payload, err := io.ReadAll(body)
	ans := answer{firstByte: body.first, streamed: limit == maxStream}
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		ans.err = &FunctionError{Type: ErrorTooLarge, Message: fmt.Sprintf(
			"Response payload size exceeded maximum allowed payload size (%d bytes).", tooLarge.Limit)}
		a.take(w, r, ans, func(w http.ResponseWriter) {
			refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the response is too large")
		})
		return
	}
	dropIf(err)
	ans.payload, ans.err = payload, trailingError(r.Trailer)
	a.take(w, r, ans, accept)
}

// dropIf drops the connection of a truncated request, as Lambda does: net/http would
// answer 200.
func dropIf(err error) {
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// timedReader records the arrival of the first byte.
type timedReader struct {
	io.Reader
	first time.Time
}

func (t *timedReader) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if n > 0 && t.first.IsZero() {
		t.first = time.Now()
	}
	return n, err
}

// trailingError returns the error of a handler that failed in the middle of a streamed
// response, after the status line.
func trailingError(trailer http.Header) *FunctionError {
	kind := trailer.Get("Lambda-Runtime-Function-Error-Type")
	if kind == "" {
		return nil
	}
	body := trailer.Get("Lambda-Runtime-Function-Error-Body")
	if decoded, err := base64.StdEncoding.DecodeString(body); err == nil {
		body = string(decoded)
	}
	return parseFunctionError(kind, []byte(body))
}

func (a *runtimeAPI) serveError(w http.ResponseWriter, r *http.Request) {
	a.take(w, r, answer{err: readError(w, r, "Lambda-Runtime-Function-Error-Type")}, accept)
}

func readError(w http.ResponseWriter, r *http.Request, header string) *FunctionError {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResponse))
	dropIf(err)
	return parseFunctionError(r.Header.Get(header), body)
}

// take records the first answer to an open invocation, and then replies.
func (a *runtimeAPI) take(w http.ResponseWriter, r *http.Request, ans answer, reply func(http.ResponseWriter)) {
	ans.arrived = time.Now()
	a.mu.Lock()
	inv := a.open[r.PathValue("id")]
	taken := inv != nil && inv.answer == nil
	if taken {
		inv.answer = &ans
		if a.shared() { // such a process need not request the next event first: it is never frozen
			a.end(inv)
			if inv.abandoned {
				inv.leave()
			}
		}
	}
	a.mu.Unlock()
	switch {
	case inv == nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	case !taken:
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "answered already")
	default:
		reply(w)
	}
}

func (a *runtimeAPI) serveInitError(w http.ResponseWriter, r *http.Request) {
	posted := readError(w, r, "Lambda-Runtime-Function-Error-Type")
	a.mu.Lock()
	inInit := !a.asked
	a.mu.Unlock()
	if !inInit {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "init is over")
		return
	}
	a.fail(posted)
	accept(w)
}

// answered returns the answer to the invocation, or nil.
func (a *runtimeAPI) answered(inv *invocation) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return inv.answer
}

func (a *runtimeAPI) failedWith() *FunctionError {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(FunctionError{Type: kind, Message: message})
}
