package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/internal/toll"
)

// config comes from the environment variables of the same names.
type config struct {
	Issuer, Audience, JWKSURL string // of the callers' tokens

	TokenURL, ClientID, ClientSecret, Scope string // for the function's own token

	APIURL string
}

func configFromEnv() (c config, err error) {
	for _, v := range []struct {
		name  string
		field *string
	}{
		{"ISSUER", &c.Issuer}, {"AUDIENCE", &c.Audience}, {"JWKS_URL", &c.JWKSURL},
		{"TOKEN_URL", &c.TokenURL}, {"CLIENT_ID", &c.ClientID}, {"CLIENT_SECRET", &c.ClientSecret}, {"SCOPE", &c.Scope},
		{"API_URL", &c.APIURL},
	} {
		if *v.field = os.Getenv(v.name); *v.field == "" {
			err = errors.Join(err, fmt.Errorf("%s is not set", v.name))
		}
	}
	return c, err
}

// service holds the state that lives as long as the process.
type service struct {
	config
	client *http.Client
	keys   *cache.Cache[string, *keySet]  // by the URL of the set
	tokens *cache.Cache[string, ownToken] // by scope
}

func newService(c config) *service {
	s := &service{config: c, client: &http.Client{Timeout: 5 * time.Second}}
	s.keys = cache.Must(cache.New(s.keyOptions()))
	s.tokens = cache.Must(cache.New(s.tokenOptions()))
	return s
}

// In is the event.
type In struct {
	Token string `json:"token"` // of the caller: a signed JWT
}

// Out is the answer.
type Out struct {
	User   string `json:"user"`
	Orders int    `json:"orders"`
}

// handle answers one event. It does not depend on the host.
func (s *service) handle(ctx context.Context, in In) (Out, error) {
	user, err := s.verify(ctx, in.Token)
	if err != nil {
		return Out{}, fmt.Errorf("token: verify the caller's token: %w", err)
	}
	n, err := s.orders(ctx, user)
	if err != nil {
		return Out{}, fmt.Errorf("token: orders of %q: %w", user, err)
	}
	return Out{User: user, Orders: n}, nil
}

// plain is the switch of the examples: WARMCACHE=off fetches keys and token for each
// invocation. The answers are the same.
func plain() bool { return os.Getenv("WARMCACHE") == "off" }

// orders calls the API with the function's own token.
func (s *service) orders(ctx context.Context, user string) (int, error) {
	t, err := s.ownToken(ctx)
	if err != nil {
		return 0, err
	}
	header := http.Header{"Authorization": {"Bearer " + t.access}}
	resp, err := s.get(ctx, "orders", strings.TrimSuffix(s.APIURL, "/")+"/orders?user="+url.QueryEscape(user), header)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the API answers %s", resp.Status)
	}
	var body struct{ Orders int }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&body); err != nil {
		return 0, fmt.Errorf("the API's answer: %w", err)
	}
	return body.Orders, nil
}

func (s *service) get(ctx context.Context, operation, url string, header http.Header) (*http.Response, error) {
	if err := toll.Pay(ctx, operation); err != nil { // for tests and benchmarks only: see the package
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	return s.client.Do(req)
}
