// Package secrettest is a server for tests: as much of AWS Secrets Manager and of SSM
// Parameter Store as the example needs, and the API that wants the secret.
package secrettest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
)

// Name is the secret's name in both stores.
const Name = "prod/api"

// Server has one secret. The zero Server is not usable: call New.
type Server struct {
	*httptest.Server

	mu       sync.Mutex
	password string // accepted by the API
	secret   string // returned by the stores
	fail     bool
	calls    map[string]int
	onLogin  func(password string)
}

// New starts a server on the loopback interface.
func New() *Server {
	s := &Server{calls: map[string]int{}}
	s.Server = httptest.NewServer(s)
	s.Rotate("first")
	return s
}

// Env returns the environment of a function that uses the server, with one of the two
// stores: SECRET_ID or SECRET_PARAMETER.
func (s *Server) Env(store string) []string {
	return []string{
		store + "=" + Name,
		"API_URL=" + s.URL,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER=" + s.URL,
		"AWS_ENDPOINT_URL_SSM=" + s.URL,
		"AWS_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
		"AWS_MAX_ATTEMPTS=1", // the SDK's own retries back off for seconds
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_PROFILE=",
		"AWS_CA_BUNDLE=",
	}
}

// Rotate changes the password in the API and in the stores.
func (s *Server) Rotate(password string) {
	s.SetAPI(password)
	s.SetSecret(fmt.Sprintf(`{"username":"ann","password":%q}`, password))
}

// SetAPI changes the password in the API alone, as the first step of a rotation does.
func (s *Server) SetAPI(password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = password
}

// SetSecret changes the secret in both stores.
func (s *Server) SetSecret(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

// Fail makes the stores fail, or work again.
func (s *Server) Fail(fail bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// OnLogin sets a function that the API calls for each login, before it answers.
func (s *Server) OnLogin(f func(password string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onLogin = f
}

// Calls returns how often an operation was called since the last Calls of it:
// GetSecretValue, GetParameter or balance.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls[operation]
	s.calls[operation] = 0
	return n
}

// ServeHTTP answers a request. Both stores speak AWS JSON 1.1, which names the
// operation in a header.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("X-Amz-Target") {
	case "":
		s.balance(w, r)
	case "secretsmanager.GetSecretValue":
		s.get(w, r, "GetSecretValue", func(secret string) any {
			return map[string]any{"Name": Name, "SecretString": secret, "VersionStages": []string{"AWSCURRENT"}}
		})
	case "AmazonSSM.GetParameter":
		s.get(w, r, "GetParameter", func(secret string) any {
			return map[string]any{"Parameter": map[string]any{"Name": Name, "Type": "SecureString", "Value": secret}}
		})
	default:
		http.Error(w, "no such operation", http.StatusBadRequest)
	}
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, operation string, answer func(secret string) any) {
	s.mu.Lock()
	s.calls[operation]++
	secret, fail := s.secret, s.fail
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var in struct {
		SecretId, Name string
		WithDecryption bool
	}
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(b, &in)
	}
	switch {
	case fail:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"__type":"InternalServiceError","message":"an outage"}`)
	case err != nil || in.SecretId+in.Name != Name || in.Name != "" && !in.WithDecryption:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"__type":"ResourceNotFoundException","message":"there is no such secret"}`)
	default:
		json.NewEncoder(w).Encode(answer(secret))
	}
}

func (s *Server) balance(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	s.mu.Lock()
	s.calls["balance"]++
	onLogin := s.onLogin
	ok := user == "ann" && password == s.password
	s.mu.Unlock()
	if onLogin != nil {
		onLogin(password)
	}
	if !ok {
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	json.NewEncoder(w).Encode(map[string]int{"cents": 100 * len(r.FormValue("account"))})
}
