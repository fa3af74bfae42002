package host

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// The replies that an unmodified aws-lambda-go never asks for.

// rawRuntime speaks the protocol by hand.
type rawRuntime struct {
	t   *testing.T
	api *runtimeAPI
	*http.Client
}

func newRawRuntime(t *testing.T) rawRuntime {
	api, err := newRuntimeAPI(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.close)
	return rawRuntime{t, api, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (r rawRuntime) expect(status int, method, path, body string) {
	r.t.Helper()
	req, _ := http.NewRequest(method, "http://"+r.api.addr+"/2018-06-01/runtime/"+path, strings.NewReader(body))
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
	r.expect(403, "GET", "invocation/next", "") // it owes an answer
	r.expect(400, "POST", "invocation/b/response", "foreign")
	r.expect(202, "POST", "invocation/a/response", "first")
	r.expect(403, "POST", "invocation/a/response", "second")
	r.expect(403, "POST", "invocation/a/error", "{}")
	if isOver(a) {
		t.Error("over before the next event was asked for")
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
	if r.api.initFailure() != nil {
		t.Error("kept")
	}
}

func TestUnknownPath(t *testing.T) {
	r := newRawRuntime(t)
	r.expect(404, "POST", "../../2020-01-01/extension/register", "{}")
}

// Other runtimes than aws-lambda-go put the type into a header, or post text.
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
