package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// eventFile returns a recorded event, with some strings replaced.
func eventFile(t *testing.T, name string, replacements ...string) json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range replacements {
		if before, _, _ := strings.Cut(old, "=>"); !strings.Contains(string(b), before) {
			t.Fatalf("%s does not contain %s", name, before)
		}
		before, after, _ := strings.Cut(old, "=>")
		b = []byte(strings.ReplaceAll(string(b), before, after))
	}
	return b
}

// request returns the status and body of the answer to an event, and the number of
// statements that it took. It checks that API Gateway would accept the answer.
func request(t *testing.T, event json.RawMessage) (status int, body string, statements int) {
	t.Helper()
	before := gate.Count()
	out, err := handleOnHost(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var response events.APIGatewayProxyResponse
	if err := json.Unmarshal(b, &response); err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(response.Body)) || response.Headers["Content-Type"] != "application/json" {
		t.Errorf("%s", b)
	}
	return response.StatusCode, response.Body, gate.Count() - before
}

func TestHTTP(t *testing.T) {
	newContainer(t)
	const (
		lamp = `{"tenant":"blue","sku":"lamp","name":"Blue lamp","description":"A lamp of the blue shop","quantity":3,"unit_cents":1999,"total_cents":5997,"in_stock":true}`
		page = `{"tenant":"blue","page":1,"products":[{"sku":"lamp","name":"Blue lamp","unit_cents":1999,"stock":10}]}`
	)
	for _, tt := range []struct {
		name, file   string
		replacements []string
		status       int
		body         string
		statements   int
	}{
		{"product", "apigateway-http.json", nil, 200, lamp, 1},
		{"again", "apigateway-http.json", nil, 200, lamp, 0},
		{"page", "apigateway-rest.json", nil, 200, page, 1},
		{"page again", "apigateway-rest.json", nil, 200, page, 0},
		{"product by REST", "apigateway-rest.json", []string{`"path": "/products",=>"path": "/products/lamp",`, `"page": ["1"]=>"quantity": ["3"]`}, 200, lamp, 0},
		{"page by HTTP", "apigateway-http.json", []string{`/products/lamp=>/products`, `"quantity=3"=>"page=1&in_stock=true"`}, 200, page, 0},
		{"stage", "apigateway-http.json", []string{`"$default"=>"test"`, `"rawPath": "/=>"rawPath": "/test/`}, 200, lamp, 0},
		{"another tenant", "apigateway-http.json", []string{`"blue"=>"green"`}, 200, strings.NewReplacer("blue", "green", "Blue", "Green", "1999", "2499", "5997", "7497").Replace(lamp), 1},
		{"no quantity", "apigateway-http.json", []string{`"rawQueryString": "quantity=3"=>"rawQueryString": ""`}, 200, strings.NewReplacer(`"quantity":3`, `"quantity":1`, "5997", "1999").Replace(lamp), 0},
		{"no such product", "apigateway-http.json", []string{`/products/lamp=>/products/none`}, 404, `{"error":"no such product"}`, 1},
		{"no such path", "apigateway-http.json", []string{`/products/lamp=>/productslamp`}, 404, `{"error":"no such resource"}`, 0},
		{"another path", "apigateway-rest.json", []string{`"path": "/products",=>"path": "/products/lamp/7",`}, 404, `{"error":"no such resource"}`, 0},
		{"method", "apigateway-http.json", []string{`"method": "GET"=>"method": "POST"`}, 405, `{"error":"only GET is allowed"}`, 0},
		{"no tenant", "apigateway-http.json", []string{`"tenant"=>"nobody"`}, 401, `{"error":"the request has no authorized tenant"}`, 0},
		{"tenant in the query", "apigateway-rest.json", []string{`"tenant"=>"nobody"`, `"page": ["1"]=>"tenant": ["blue"]`}, 401, `{"error":"the request has no authorized tenant"}`, 0},
		{"quantity", "apigateway-http.json", []string{`quantity=3=>quantity=many`}, 400, `{"error":"quantity is \"many\": it must be a number"}`, 0},
		{"large quantity", "apigateway-http.json", []string{`quantity=3=>quantity=10001`}, 400, `{"error":"quantity is 10001: it must be 1 to 10000"}`, 0},
		{"page zero", "apigateway-rest.json", []string{`"page": ["1"]=>"page": ["-1"]`}, 400, `{"error":"page is -1: it must be 1 to 1000"}`, 0},
		{"web action without a namespace", "webaction.json", nil, 401, `{"error":"the request has no authorized tenant"}`, 0},
	} {
		status, body, statements := request(t, eventFile(t, tt.file, tt.replacements...))
		if status != tt.status || body != tt.body || statements != tt.statements {
			t.Errorf("%s: %d %s, %d statements\nwant %d %s, %d", tt.name, status, body, statements, tt.status, tt.body, tt.statements)
		}
	}
}

// The client sees no details of a server error.
func TestHTTPInternalError(t *testing.T) {
	newContainer(t)
	useDatabase(t, "postgres://user:password@127.0.0.1:1/none?connect_timeout=1")
	status, body, _ := request(t, eventFile(t, "apigateway-http.json"))
	if status != 500 || body != `{"error":"internal error"}` {
		t.Errorf("%d %s", status, body)
	}
}

func TestWebAction(t *testing.T) {
	r, ok := parseHTTP(context.Background(), eventFile(t, "webaction.json"))
	if in, err := r.in(); !ok || r.method != "GET" || err != nil || in != (In{SKU: "lamp", Quantity: 3}) {
		t.Errorf("%+v, %v, %+v, %v", r, ok, in, err)
	}
}

// Direct events are not HTTP requests.
func TestOtherEvents(t *testing.T) {
	newContainer(t)
	out, err := handleOnHost(t.Context(), json.RawMessage(`{"tenant":"blue","sku":"lamp","quantity":3}`))
	if err != nil || out != blueLamp {
		t.Errorf("%+v, %v", out, err)
	}
	for _, event := range []string{"", "{}", `{"version":"2.0"}`, `"text"`, `{"sku":7}`} {
		if out, err := handleOnHost(t.Context(), json.RawMessage(event)); err == nil || !strings.HasPrefix(err.Error(), "catalog: ") {
			t.Errorf("%s: %+v, %v", event, out, err)
		}
	}
}
