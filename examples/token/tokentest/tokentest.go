// Package tokentest is a server for tests: an issuer with its keys, an authorization
// server with the client-credentials grant, and an API that wants its tokens.
package tokentest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// Issuer and Audience are the iss and aud of the callers' tokens.
	Issuer   = "https://issuer.example"
	Audience = "orders"

	// Secret is the function's client secret.
	Secret = "client-secret"
)

// Server is an http.Handler, with or without a real server around it.
type Server struct {
	mu      sync.Mutex
	keys    map[string]*ecdsa.PrivateKey
	life    time.Duration        // of an access token; zero: the answer has no expires_in
	issued  map[string]time.Time // the end of each access token
	failing bool
	calls   map[string]int
}

// New returns a Server that has one key, "k1", and issues tokens for an hour.
func New() *Server {
	s := &Server{keys: map[string]*ecdsa.PrivateKey{}, life: time.Hour, issued: map[string]time.Time{}, calls: map[string]int{}}
	s.AddKey("k1")
	return s
}

// Env returns the environment of a function that uses the server at that URL.
func Env(url string) []string {
	return []string{
		"ISSUER=" + Issuer, "AUDIENCE=" + Audience, "JWKS_URL=" + url + "/keys",
		"TOKEN_URL=" + url + "/token", "CLIENT_ID=function", "CLIENT_SECRET=" + Secret, "SCOPE=orders.read",
		"API_URL=" + url,
	}
}

// Key returns a new private key.
func Key() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// AddKey adds a key to the issuer's set.
func (s *Server) AddKey(id string) { s.UseKey(id, Key()) }

// UseKey adds that key.
func (s *Server) UseKey(id string, key *ecdsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[id] = key
}

// SetLife sets how long access tokens live.
func (s *Server) SetLife(life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.life = life
}

// Fail makes the issuer and the authorization server fail, or work again. The API works.
func (s *Server) Fail(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = fail
}

// Calls returns how often a path was requested since the last Calls of it, such as
// "/keys", "/token", "/orders", or "/keys 304" for answers without a body.
func (s *Server) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls[path]
	s.calls[path] = 0
	return n
}

// Token returns a valid token of the user, signed by the issuer's key with that ID.
func (s *Server) Token(user, key string) string {
	s.mu.Lock()
	private := s.keys[key]
	s.mu.Unlock()
	return Sign(private, key, jwt.Claims{
		Issuer: Issuer, Audience: jwt.Audience{Audience}, Subject: user,
		Expiry: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)),
	})
}

// Sign returns a signed token.
func Sign(key *ecdsa.PrivateKey, id string, claims any) string {
	return sign(jose.SigningKey{Algorithm: jose.ES256, Key: key}, id, claims)
}

// SignHS256 returns a token that is signed with the symmetric key in the issuer's set.
func SignHS256(id string, claims any) string {
	return sign(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(symmetric)}, id, claims)
}

const symmetric = "a symmetric key is not for others to read"

func sign(key jose.SigningKey, id string, claims any) string {
	signer, err := jose.NewSigner(key, new(jose.SignerOptions).WithHeader("kid", id))
	if err != nil {
		panic(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	return token
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[r.URL.Path]++
	switch {
	case s.failing && r.URL.Path != "/orders":
		http.Error(w, "an outage", http.StatusServiceUnavailable)
	case r.URL.Path == "/keys":
		s.serveKeys(w, r)
	case r.URL.Path == "/token" && r.Method == http.MethodPost:
		s.serveToken(w, r)
	case r.URL.Path == "/orders":
		s.serveOrders(w, r)
	default:
		http.NotFound(w, r)
	}
}

// serveKeys adds keys of other kinds, which a client must ignore.
func (s *Server) serveKeys(w http.ResponseWriter, r *http.Request) {
	etag := fmt.Sprintf(`"%d"`, len(s.keys))
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		s.calls["/keys 304"]++
		w.WriteHeader(http.StatusNotModified)
		return
	}
	keys := []any{
		map[string]string{"kty": "FUTURE", "kid": "k1"},
		map[string]string{"kty": "oct", "kid": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte(symmetric))},
	}
	for id, key := range s.keys {
		keys = append(keys, jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig"})
	}
	json.NewEncoder(w).Encode(map[string]any{"keys": keys})
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	id, secret, _ := r.BasicAuth()
	if id != "function" || secret != Secret || r.FormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
		return
	}
	token := rand.Text()
	answer := map[string]any{"access_token": token, "token_type": "Bearer"}
	s.issued[token] = time.Now().Add(24 * time.Hour)
	if s.life > 0 {
		s.issued[token], answer["expires_in"] = time.Now().Add(s.life), int(s.life.Seconds())
	}
	json.NewEncoder(w).Encode(answer)
}

func (s *Server) serveOrders(w http.ResponseWriter, r *http.Request) {
	var token string
	fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &token)
	if end, ok := s.issued[token]; !ok || !time.Now().Before(end) {
		s.calls["/orders 401"]++
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	json.NewEncoder(w).Encode(map[string]int{"orders": len(r.FormValue("user"))})
}

// RoundTrip implements http.RoundTripper without a network, for tests in a bubble of
// testing/synctest.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}
