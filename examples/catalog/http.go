package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/action"
)

// httpRequest is the part of an HTTP request that the function uses.
type httpRequest struct {
	method, path string
	query        url.Values
	tenant       string // verified by the authorizer or the host
}

// httpResponse is the response that API Gateway expects, for either payload format,
// and OpenWhisk expects from a web action.
type httpResponse struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

// parseHTTP parses an event of API Gateway or of an OpenWhisk web action. For other
// events ok is false.
func parseHTTP(ctx context.Context, event json.RawMessage) (r httpRequest, ok bool) {
	var form struct {
		Version    string `json:"version"`
		HTTPMethod string `json:"httpMethod"`
		OWMethod   string `json:"__ow_method"`
	}
	if json.Unmarshal(event, &form) != nil {
		return r, false
	}
	switch {
	case form.Version == "2.0":
		return parseV2(event)
	case form.HTTPMethod != "":
		return parseV1(event)
	case form.OWMethod != "":
		return parseWebAction(ctx, event)
	}
	return r, false
}

// parseV2 parses payload format 2.0: HTTP APIs and function URLs.
func parseV2(event json.RawMessage) (r httpRequest, ok bool) {
	var e events.APIGatewayV2HTTPRequest
	if json.Unmarshal(event, &e) != nil || e.RequestContext.HTTP.Method == "" {
		return r, false
	}
	query, err := url.ParseQuery(e.RawQueryString)
	r = httpRequest{method: e.RequestContext.HTTP.Method, path: e.RawPath, query: query}
	if stage := e.RequestContext.Stage; stage != "$default" {
		r.path = strings.TrimPrefix(r.path, "/"+stage)
	}
	if a := e.RequestContext.Authorizer; a != nil && a.JWT != nil {
		r.tenant = a.JWT.Claims["tenant"]
	}
	return r, err == nil
}

// parseV1 parses payload format 1.0: REST APIs.
func parseV1(event json.RawMessage) (r httpRequest, ok bool) {
	var e events.APIGatewayProxyRequest
	if json.Unmarshal(event, &e) != nil {
		return r, false
	}
	r = httpRequest{method: e.HTTPMethod, path: e.Path, query: e.MultiValueQueryStringParameters}
	claims, _ := e.RequestContext.Authorizer["claims"].(map[string]any)
	r.tenant, _ = claims["tenant"].(string)
	return r, true
}

// parseWebAction parses an activation of a raw web action (--web raw). Its tenant
// is the namespace of the action.
func parseWebAction(ctx context.Context, event json.RawMessage) (r httpRequest, ok bool) {
	var e struct {
		Method string `json:"__ow_method"`
		Path   string `json:"__ow_path"`
		Query  string `json:"__ow_query"`
	}
	if json.Unmarshal(event, &e) != nil {
		return r, false
	}
	query, err := url.ParseQuery(e.Query)
	return httpRequest{strings.ToUpper(e.Method), e.Path, query, action.Tenant(ctx)}, err == nil
}

// serve answers an HTTP request. It returns no error, because API Gateway would
// answer an error with 502.
func serve(ctx context.Context, r httpRequest) httpResponse {
	in, err := r.in()
	if err != nil {
		return failed(http.StatusBadRequest, err)
	}
	switch {
	case in.Tenant == "":
		return failed(http.StatusUnauthorized, errors.New("the request has no authorized tenant"))
	case in.SKU == "" && in.Page == 0:
		return failed(http.StatusNotFound, errors.New("no such resource"))
	case r.method != http.MethodGet:
		return failed(http.StatusMethodNotAllowed, errors.New("only GET is allowed"))
	}
	if err := in.validate(); err != nil {
		return failed(http.StatusBadRequest, err)
	}
	out, err := handle(ctx, in)
	if errors.Is(err, cache.ErrNotFound) {
		return failed(http.StatusNotFound, errors.New("no such product"))
	}
	if err != nil {
		slog.ErrorContext(ctx, "catalog", "error", err) // the client must not see it
		return failed(http.StatusInternalServerError, errors.New("internal error"))
	}
	return respond(http.StatusOK, out)
}

// in returns the event of GET /products/SKU?quantity=N and GET /products?page=N.
// For other paths the In has neither SKU nor page.
func (r httpRequest) in() (in In, err error) {
	in.Tenant = r.tenant
	rest, found := strings.CutPrefix(r.path, "/products")
	switch sku := strings.TrimPrefix(rest, "/"); {
	case !found || rest != "" && rest[0] != '/' || strings.Contains(sku, "/"):
		return in, nil
	case sku != "":
		in.SKU = sku
		in.Quantity, err = r.number("quantity")
	default:
		in.InStock = r.query.Get("in_stock") == "true"
		in.Page, err = r.number("page")
	}
	return in, err
}

// number returns a query parameter as a number, or 1 if it is missing.
func (r httpRequest) number(name string) (int64, error) {
	n, err := strconv.ParseInt(cmp.Or(r.query.Get(name), "1"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %.20q: it must be a number", name, r.query.Get(name))
	}
	return n, nil
}

func failed(status int, err error) httpResponse {
	return respond(status, map[string]string{"error": err.Error()})
}

func respond(status int, body any) httpResponse {
	var b bytes.Buffer
	json.NewEncoder(&b).Encode(body) // strings and numbers can always be encoded
	return httpResponse{status, map[string]string{"Content-Type": "application/json"}, strings.TrimSpace(b.String())}
}
