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
	"sync"
	"time"
)

// runtimeAPI is the Lambda Runtime API for one process. Each process gets its
// own address: what one that was killed had still sent can never be taken for
// a word of its successor.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type runtimeAPI struct {
	server *http.Server
	addr   string
	work   sync.WaitGroup // the accept loop and the connections
	room   int            // for invocations at once

	queue chan *invocation // events for requests of the next one
	ready chan struct{}    // closed when the first of them arrives

	mu        sync.Mutex
	closed    bool
	readyAt   time.Time
	initError *FunctionError
	open      map[string]*invocation // handed out and not over, by request id
}

func newRuntimeAPI(concurrency int) (*runtimeAPI, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &runtimeAPI{
		addr:  l.Addr().String(),
		room:  concurrency,
		queue: make(chan *invocation),
		ready: make(chan struct{}),
		open:  make(map[string]*invocation),
	}
	a.server = &http.Server{Handler: a.routes(), ConnState: a.count, ErrorLog: log.New(io.Discard, "", 0)}
	a.work.Go(func() { _ = a.server.Serve(l) })
	return a, nil
}

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

// abandon is called when nobody waits for the invocation any more. If the
// function is still at it, it keeps its turn until that ends.
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
	const prefix = "/2018-06-01/runtime/"
	m := http.NewServeMux()
	m.HandleFunc("GET "+prefix+"invocation/next", a.serveNext)
	m.HandleFunc("POST "+prefix+"invocation/{id}/response", a.serveResponse)
	m.HandleFunc("POST "+prefix+"invocation/{id}/error", a.serveError)
	m.HandleFunc("POST "+prefix+"init/error", a.serveInitError)
	return m
}

func (a *runtimeAPI) serveNext(w http.ResponseWriter, r *http.Request) {
	if !a.becomeIdle() {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "asked for the next event with one unanswered")
		return
	}
	select {
	case inv := <-a.queue:
		a.handOut(w, inv)
	case <-r.Context().Done():
	}
}

// becomeIdle notes that the runtime asks for an event, which ends its init, and
// what it has answered. It is refused to a runtime that owes an answer.
func (a *runtimeAPI) becomeIdle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, inv := range a.open {
		if inv.answer != nil {
			a.end(inv)
		}
	}
	if a.readyAt.IsZero() {
		a.readyAt = time.Now()
		close(a.ready)
	}
	return len(a.open) < a.room
}

func (a *runtimeAPI) end(inv *invocation) {
	delete(a.open, inv.ID)
	close(inv.over)
}

func (a *runtimeAPI) handOut(w http.ResponseWriter, inv *invocation) {
	a.mu.Lock()
	a.open[inv.ID] = inv
	a.mu.Unlock()
	inv.handOut(w)
}

func (a *runtimeAPI) serveResponse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResponse))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		a.take(w, r, answer{err: &FunctionError{Type: ErrorTooLarge, Message: fmt.Sprintf(
			"Response payload size exceeded maximum allowed payload size (%d bytes).", tooLarge.Limit)}}, refuseTooLarge)
		return
	}
	if err != nil {
		return // the function is gone
	}
	a.take(w, r, answer{payload: body, err: trailingError(r.Trailer)}, accept)
}

// trailingError is the error of a handler that failed in the middle of a
// streamed response: the status line was long gone.
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
	if posted := readError(w, r); posted != nil {
		a.take(w, r, answer{err: posted}, accept)
	}
}

// readError returns nil if the function is gone.
func readError(w http.ResponseWriter, r *http.Request) *FunctionError {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResponse))
	if err != nil {
		return nil //nolint:nilerr // there is nobody to tell
	}
	return parseFunctionError(r.Header.Get("Lambda-Runtime-Function-Error-Type"), body)
}

// take keeps the first answer to an invocation that was handed out, and then
// replies.
func (a *runtimeAPI) take(w http.ResponseWriter, r *http.Request, ans answer, reply func(http.ResponseWriter)) {
	ans.arrived = time.Now()
	a.mu.Lock()
	inv := a.open[r.PathValue("id")]
	taken := inv != nil && inv.answer == nil
	if taken {
		inv.answer = &ans
		a.noteAnswer(inv)
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

// noteAnswer ends an invocation of a shared process. Which request for the next
// event comes from whoever has answered cannot be told there, and need not be:
// nothing waits for an idle process to freeze it.
func (a *runtimeAPI) noteAnswer(inv *invocation) {
	if a.room == 1 {
		return
	}
	a.end(inv)
	if inv.abandoned {
		inv.leave()
	}
}

func (a *runtimeAPI) serveInitError(w http.ResponseWriter, r *http.Request) {
	posted := readError(w, r)
	a.mu.Lock()
	inInit := a.readyAt.IsZero()
	if inInit {
		a.initError = posted
	}
	a.mu.Unlock()
	if !inInit {
		refuse(w, http.StatusForbidden, "InvalidStateTransition", "init is over")
		return
	}
	accept(w)
}

// answered returns nil if nothing has arrived for the invocation.
func (a *runtimeAPI) answered(inv *invocation) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return inv.answer
}

func (a *runtimeAPI) initFailure() *FunctionError {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.initError
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func refuseTooLarge(w http.ResponseWriter) {
	refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the response is too large")
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(FunctionError{Type: kind, Message: message})
}
