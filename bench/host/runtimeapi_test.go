package host

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The replies to requests that an unmodified aws-lambda-go never sends.

// rawRuntime speaks the protocol by hand.
type rawRuntime struct {
	t   *testing.T
	api *runtimeAPI
	*http.Client
	header http.Header
}

func newRawRuntime(t *testing.T) rawRuntime {
	api, err := newRuntimeAPI(Lambda{Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.close)
	return rawRuntime{t, api, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, nil}
}

func (r rawRuntime) expect(status int, method, path, body string) {
	r.t.Helper()
	req, _ := http.NewRequest(method, "http://"+r.api.addr+"/2018-06-01/runtime/"+path, strings.NewReader(body))
	for k, v := range r.header {
		req.Header[k] = v
	}
	res, err := r.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != status {
		r.t.Errorf("%s %s: %d, want %d", method, path, res.StatusCode, status)
	}
}

func (r rawRuntime) submit(id string) *invocation {
	inv := &invocation{Request: Request{ID: id}, deadline: time.Now(), over: make(chan struct{})}
	go func() { r.api.queue <- inv }()
	return inv
}

func isOver(inv *invocation) bool {
	select {
	case <-inv.over:
		return true
	default:
		return false
	}
}

func TestProtocolOrder(t *testing.T) {
	r := newRawRuntime(t)
	r.expect(400, "POST", "invocation/a/response", "early")
	a := r.submit("a")
	r.expect(200, "GET", "invocation/next", "")
	r.expect(200, "GET", "invocation/next", "") // the same again: the first answer may have been lost
	r.expect(400, "POST", "invocation/b/response", "foreign")
	r.expect(202, "POST", "invocation/a/response", "first")
	r.expect(403, "POST", "invocation/a/response", "second")
	r.expect(403, "POST", "invocation/a/error", "{}")
	if isOver(a) {
		t.Error("the invocation ended before the next event was requested")
	}
	b := r.submit("b")
	r.expect(200, "GET", "invocation/next", "")
	if !isOver(a) || string(a.answer.payload) != "first" {
		t.Errorf("answer %+v", a.answer)
	}
	r.expect(400, "POST", "invocation/a/response", "late")
	r.expect(202, "POST", "invocation/b/error", "not JSON")
	if got := r.api.answered(b).err.Message; got != "not JSON" {
		t.Errorf("message %q", got)
	}
}

func TestInitErrorAfterInit(t *testing.T) {
	r := newRawRuntime(t)
	r.submit("a")
	r.expect(200, "GET", "invocation/next", "")
	r.expect(403, "POST", "init/error", `{"errorType":"Late"}`)
	if r.api.failedWith() != nil {
		t.Error("kept")
	}
}

// The other answers are the same as in AWS's emulator.
func TestOtherPaths(t *testing.T) {
	r := newRawRuntime(t)
	r.expect(200, "GET", "../ping", "")
	r.expect(202, "PUT", "../../2022-07-01/telemetry", "{}")
	r.expect(202, "PUT", "../../2020-08-15/logs", "{}")
	r.expect(404, "GET", "restore/next", "")
	r.expect(403, "POST", "../../2020-01-01/extension/register", `{"events":[]}`) // without a name
	r.expect(403, "GET", "../../2020-01-01/extension/event/next", "")             // without an identifier
}

func TestInitErrorEndsIt(t *testing.T) {
	r := newRawRuntime(t)
	r.expect(202, "POST", "init/error", `{"errorType":"Early"}`)
	r.expect(403, "GET", "invocation/next", "")
	if f := r.api.failedWith(); f == nil || f.Type != "Early" {
		t.Error(f)
	}
}

func TestResponseMode(t *testing.T) {
	for mode, want := range map[string]int{"": 202, "streaming": 202, "buffered": 400, "Streaming": 400} {
		r := newRawRuntime(t)
		inv := r.submit("a")
		r.expect(200, "GET", "invocation/next", "")
		r.header = http.Header{"Lambda-Runtime-Function-Response-Mode": {mode}}
		r.expect(want, "POST", "invocation/a/response", "answer")
		got := r.api.answered(inv)
		if got == nil || got.streamed != (mode == "streaming") || (got.err != nil) != (want == 400) {
			t.Errorf("%q: %+v", mode, got)
		}
	}
}

// A stream has a separate limit.
func TestStreamMayBeLarge(t *testing.T) {
	for mode, want := range map[string]int{"": 413, "streaming": 202} {
		r := newRawRuntime(t)
		r.submit("a")
		r.expect(200, "GET", "invocation/next", "")
		if mode != "" {
			r.header = http.Header{"Lambda-Runtime-Function-Response-Mode": {mode}}
		}
		r.expect(want, "POST", "invocation/a/response", strings.Repeat("x", maxResponse+1))
	}
}

// An incomplete response does not count, and its connection is closed: a 200 would
// tell the runtime that it has answered.
func TestResponseCutShort(t *testing.T) {
	r := newRawRuntime(t)
	inv := r.submit("a")
	r.expect(200, "GET", "invocation/next", "")
	for _, path := range []string{"invocation/a/response", "invocation/a/error", "init/error"} {
		c, err := net.Dial("tcp", r.api.addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /2018-06-01/runtime/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", path)
		c.(*net.TCPConn).CloseWrite()
		if answer, _ := io.ReadAll(c); len(answer) > 0 {
			t.Errorf("%s: %s", path, answer)
		}
		c.Close()
	}
	if got := r.api.answered(inv); got != nil {
		t.Errorf("%+v", got)
	}
}

// An event whose first copy went to an abandoned connection is sent again, also to
// a request that was already waiting.
func TestEventIsNotLost(t *testing.T) {
	r := newRawRuntime(t)
	lost := r.ask(t)
	r.submit("a")
	defer lost.Close()
	if got := readID(t, lost); got != "a" {
		t.Fatal(got)
	}
	for range 2 {
		again := r.ask(t)
		defer again.Close()
		if got := readID(t, again); got != "a" {
			t.Errorf("%q", got)
		}
	}
}

// ask sends a request for the next event on a new connection.
func (r rawRuntime) ask(t *testing.T) net.Conn {
	c, err := net.Dial("tcp", r.api.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
	return c
}

func readID(t *testing.T, c net.Conn) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Minute))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.Header.Get("Lambda-Runtime-Aws-Request-Id")
}

// Runtimes other than aws-lambda-go put the type into a header, or post text.
func TestParseFunctionError(t *testing.T) {
	for _, tt := range []struct{ header, body, kind, message string }{
		{"", `{"errorType":"T","errorMessage":"m"}`, "T", "m"},
		{"H", `{"errorType":"T","errorMessage":"m"}`, "T", "m"},
		{"H", `{"errorMessage":"m"}`, "H", "m"},
		{"H", "text", "H", "text"},
		{"H", "", "H", ""},
	} {
		if got := parseFunctionError(tt.header, []byte(tt.body)); got.Type != tt.kind || got.Message != tt.message {
			t.Errorf("%q, %q: %v", tt.header, tt.body, got)
		}
	}
}
