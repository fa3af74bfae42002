package host

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"
)

// extension is registered with the Extensions API. An external extension is a
// process; an internal one is part of the function's process.
type extension struct {
	name             string
	external         bool
	invoke, shutdown bool
	waiting          bool // for an event: it has handled the last one
	events           chan []byte
}

// send queues an event, unless the extension has a queued one.
func (e *extension) send(event []byte) {
	select {
	case e.events <- event:
		e.waiting = false
	default:
	}
}

// event returns the INVOKE event of the invocation.
func (i *invocation) event() []byte {
	b, _ := json.Marshal(map[string]any{
		"eventType": "INVOKE", "deadlineMs": i.deadline.UnixMilli(), "requestId": i.ID, "invokedFunctionArn": i.arn,
		"tracing": map[string]string{"type": "X-Amzn-Trace-Id", "value": i.TraceID},
	})
	return b
}

func (a *runtimeAPI) serveRegister(w http.ResponseWriter, r *http.Request) {
	var body struct{ Events []string }
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	dropIf(err)
	name := r.Header.Get("Lambda-Extension-Name")
	if json.Unmarshal(b, &body) != nil || name == "" {
		refuse(w, http.StatusForbidden, "InvalidRequestFormat", "it needs a Lambda-Extension-Name and a JSON object with events")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &extension{name: name, external: a.expected[name], events: make(chan []byte, 1),
		invoke: slices.Contains(body.Events, "INVOKE"), shutdown: slices.Contains(body.Events, "SHUTDOWN")}
	switch kind, why := a.mayRegister(e, body.Events); {
	case kind != "":
		refuse(w, http.StatusForbidden, kind, why)
		return
	case e.external:
		if delete(a.expected, name); len(a.expected) == 0 {
			close(a.registered)
		}
	}
	id := newRequestID()
	a.extensions[id] = e
	w.Header().Set("Lambda-Extension-Identifier", id)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"functionName": a.lambda.Name, "functionVersion": a.lambda.Version, "handler": a.lambda.Handler})
}

// mayRegister returns the type of the error if e must not register.
func (a *runtimeAPI) mayRegister(e *extension, events []string) (kind, why string) {
	for _, other := range a.extensions {
		if other.name == e.name {
			return "Extension.InvalidExtensionState", "Extension with this name already registered"
		}
	}
	allowed := []string{"INVOKE", "SHUTDOWN"}
	if !e.external {
		allowed = allowed[:1] // internal extensions get SIGTERM with the function's process
	}
	if a.shared() {
		allowed = slices.DeleteFunc(allowed, func(s string) bool { return s == "INVOKE" })
	}
	for _, event := range events {
		if !slices.Contains(allowed, event) {
			return "Extension.InvalidEventType", event + " is not an event that this extension may register for"
		}
	}
	switch {
	case a.asked:
		return "Extension.RegistrationClosed", "Extension registration closed already"
	case len(a.extensions) == 10:
		return "Extension.TooManyExtensions", "Extension limit (10) reached"
	}
	return "", ""
}

// caller returns the extension that sends the request, nil after refusing it.
func (a *runtimeAPI) caller(w http.ResponseWriter, r *http.Request) *extension {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := r.Header.Get("Lambda-Extension-Identifier")
	e := a.extensions[id]
	if e == nil {
		refuse(w, http.StatusForbidden, "Extension.UnknownExtensionIdentifier", "Unknown extension "+id)
	}
	return e
}

func (a *runtimeAPI) serveEvent(w http.ResponseWriter, r *http.Request) {
	e := a.caller(w, r)
	if e == nil {
		return
	}
	a.mu.Lock()
	e.waiting = len(e.events) == 0
	a.advance()
	a.mu.Unlock()
	select {
	case event := <-e.events:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Lambda-Extension-Event-Identifier", newRequestID())
		_, _ = w.Write(event)
	case <-r.Context().Done():
	}
}

func (a *runtimeAPI) serveExtensionError(w http.ResponseWriter, r *http.Request) {
	if a.caller(w, r) == nil {
		return
	}
	f := readError(w, r, "Lambda-Extension-Function-Error-Type")
	accept(w)
	a.fail(f)
}

// How long Lambda waits after SIGTERM, and after SHUTDOWN, before SIGKILL. With
// external extensions the function's own process has 30 % of the time. They are
// variables for the tests.
var (
	internalShutdown = 500 * time.Millisecond
	externalShutdown = 2 * time.Second
)

// shutdown returns how long the function's process has after SIGTERM. Lambda sends
// it none unless an extension has registered.
func (a *runtimeAPI) shutdown() (own time.Duration, any bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.extensions {
		if any = true; e.external {
			return externalShutdown * 3 / 10, true
		}
	}
	return internalShutdown, any
}

// announceShutdown sends SHUTDOWN to the external extensions that registered for it.
func (a *runtimeAPI) announceShutdown(reason string, deadline time.Time) (told map[string]bool) {
	event, _ := json.Marshal(map[string]any{"eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": deadline.UnixMilli()})
	a.mu.Lock()
	defer a.mu.Unlock()
	told = map[string]bool{}
	for _, e := range a.extensions {
		if e.external && e.shutdown {
			e.send(event)
			told[e.name] = true
		}
	}
	return told
}
