package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/secret/secrettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stores are the variables that name a secret, each with the operation that reads it.
var stores = map[string]string{"SECRET_ID": "GetSecretValue", "SECRET_PARAMETER": "GetParameter"}

// forEachStore runs a test with a new container for each store.
func forEachStore(t *testing.T, test func(t *testing.T, s *service, server *secrettest.Server, operation string)) {
	for variable, operation := range stores {
		t.Run(operation, func(t *testing.T) {
			server := newServer(t, variable)
			test(t, newContainer(t), server, operation)
		})
	}
}

// newServer sets the environment for a server.
func newServer(t *testing.T, variable string) *secrettest.Server {
	t.Helper()
	server := secrettest.New()
	t.Cleanup(func() {
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	for _, v := range server.Env(variable) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return server
}

func newContainer(t *testing.T) *service {
	t.Helper()
	s, err := serviceFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustAnswer(t *testing.T, s *service) {
	t.Helper()
	out, err := s.handle(t.Context(), In{Account: "700"})
	if want := (Out{Account: "700", Cents: 300}); err != nil || out != want {
		t.Errorf("%+v, %v, want %+v", out, err, want)
	}
}

func expectCalls(t *testing.T, server *secrettest.Server, operation string, want int) {
	t.Helper()
	if n := server.Calls(operation); n != want {
		t.Errorf("%d calls of %s, want %d", n, operation, want)
	}
}

func TestSecretIsLoadedOnce(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *service, server *secrettest.Server, operation string) {
		for range 3 {
			mustAnswer(t, s)
		}
		expectCalls(t, server, operation, 1)
		expectCalls(t, server, "balance", 3)
		t.Setenv("WARMCACHE", "off")
		for range 3 {
			mustAnswer(t, s)
		}
		expectCalls(t, server, operation, 3)
	})
}

// One hundred invocations hold the secret that a rotation has replaced. The API rejects
// none of them before all have called it, so each has to reload. One Load serves all.
func TestRotationUnderLoad(t *testing.T) {
	const callers = 100
	forEachStore(t, func(t *testing.T, s *service, server *secrettest.Server, operation string) {
		mustAnswer(t, s)
		expectCalls(t, server, operation, 1)
		server.Rotate("second")
		var waiting sync.WaitGroup
		waiting.Add(callers)
		server.OnLogin(func(password string) {
			if password == "first" {
				waiting.Done()
				waiting.Wait()
			}
		})
		var invocations sync.WaitGroup
		for range callers {
			invocations.Go(func() { mustAnswer(t, s) })
		}
		invocations.Wait()
		expectCalls(t, server, operation, 1)
		mustAnswer(t, s)
		expectCalls(t, server, operation, 0)
	})
}

// A rotation has changed the password in the API, but the store still returns the old
// one. The handler retries once and does not loop.
func TestRejectedTwice(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *service, server *secrettest.Server, operation string) {
		mustAnswer(t, s)
		server.SetAPI("second")
		server.Calls("balance")
		if _, err := s.handle(t.Context(), In{Account: "7"}); !errors.Is(err, errRejected) {
			t.Errorf("error = %v", err)
		}
		expectCalls(t, server, "balance", 2)
		expectCalls(t, server, operation, 2)
		server.Rotate("second")
		mustAnswer(t, s)
	})
}

// The API rejects the secret while its store fails. The API gets the rejected
// secret once, and the next invocation does not use it again, despite StaleIfError.
func TestRejectedSecretIsNotServedStale(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *service, server *secrettest.Server, operation string) {
		mustAnswer(t, s)
		server.Rotate("second")
		server.Fail(true)
		server.Calls("balance")
		if _, err := s.handle(t.Context(), In{Account: "7"}); !errors.Is(err, errRejected) || !strings.Contains(err.Error(), "outage") {
			t.Errorf("error = %v", err)
		}
		for range 3 {
			if _, err := s.handle(t.Context(), In{Account: "7"}); err == nil || errors.Is(err, errRejected) {
				t.Errorf("error = %v", err)
			}
		}
		expectCalls(t, server, "balance", 1)
		server.Fail(false)
		mustAnswer(t, s)
	})
}

// An outage of the API does not reject the secret.
func TestOtherErrorsDoNotReload(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *service, server *secrettest.Server, operation string) {
		mustAnswer(t, s)
		server.Calls(operation)
		s.api.url = server.URL + "/%zz"
		if _, err := s.handle(t.Context(), In{Account: "7"}); err == nil || errors.Is(err, errRejected) {
			t.Errorf("error = %v", err)
		}
		expectCalls(t, server, operation, 0)
	})
}

// A tier would store the password, so New refuses one.
func TestTierIsRefused(t *testing.T) {
	o := secretOptions(func(context.Context, string) (Credentials, error) { return Credentials{}, nil })
	o.Tier, o.Namespace = noTier{}, "secret/1"
	for name, codec := range map[string]cache.Codec[Credentials]{"JSON": cache.JSON[Credentials](), "Gob": cache.Gob[Credentials]()} {
		o.Codec = codec
		if _, err := cache.New(o); err == nil || !strings.Contains(err.Error(), "password") {
			t.Errorf("%s: error = %v", name, err)
		}
	}
}

type noTier struct{}

func (noTier) Get(context.Context, string, func([]byte) bool) (string, error) { return "", nil }
func (noTier) Set(context.Context, cache.TierRecord) error                    { return nil }
func (noTier) Delete(context.Context, string) error                           { return nil }

// Neither logs nor errors contain the password.
func TestPasswordIsNotPrinted(t *testing.T) {
	const password = "73517"
	c := Credentials{"ann", password}
	e := cache.Entry[Credentials]{Value: c}
	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&printed, verb+verb+verb, c, &c, e)
	}
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("", "c", c, "e", e)
	slog.New(slog.NewTextHandler(&printed, nil)).Info("", "c", c, "e", e)
	json.NewEncoder(&printed).Encode(e)
	for _, secret := range []string{"~" + password, `{"username":73517}`, `{"username":"ann","password":73517}`, `{"username":"ann"}`} {
		_, err := parseCredentials(secret)
		if err == nil || strings.Contains(err.Error(), "~") || strings.Contains(err.Error(), "number") {
			t.Errorf("%s: error = %v", secret, err)
		}
	}
	t.Setenv("API_URL", "https://ann:"+password+"@localhost:%zz")
	_, err := serviceFromEnv()
	fmt.Fprint(&printed, err)
	if s := printed.String(); strings.Contains(s, password) || strings.Contains(s, "3733353137") || !strings.Contains(s, "ann") {
		t.Error(s)
	}
}

func TestInvalid(t *testing.T) {
	newServer(t, "SECRET_ID")
	s := newContainer(t)
	for _, account := range []string{"", strings.Repeat("7", maxAccount+1)} {
		if _, err := s.handle(t.Context(), In{Account: account}); err == nil {
			t.Errorf("%d bytes: no error", len(account))
		}
	}
	s.id = "prod/none"
	if _, err := s.handle(t.Context(), In{Account: "7"}); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("error = %v", err)
	}
	for _, env := range []map[string]string{
		{"SECRET_ID": ""},
		{"SECRET_PARAMETER": "both"},
		{"API_URL": "nowhere"},
	} {
		t.Run("", func(t *testing.T) {
			for name, value := range env {
				t.Setenv(name, value)
			}
			if _, err := serviceFromEnv(); err == nil {
				t.Errorf("%v: no error", env)
			}
		})
	}
}

// Example shows a rotation between two invocations of one container.
func Example() {
	server := secrettest.New()
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	for _, v := range server.Env("SECRET_ID") {
		name, value, _ := strings.Cut(v, "=")
		defer os.Setenv(name, os.Getenv(name))
		os.Setenv(name, value)
	}
	s, err := serviceFromEnv()
	if err != nil {
		panic(err)
	}
	invoke := func() {
		out, err := s.handle(context.Background(), In{Account: "700"})
		fmt.Println(out, err, "| Secrets Manager:", server.Calls("GetSecretValue"), "API:", server.Calls("balance"))
	}
	invoke()
	invoke()
	server.Rotate("second")
	invoke()
	invoke()
	// Output:
	// {700 300} <nil> | Secrets Manager: 1 API: 1
	// {700 300} <nil> | Secrets Manager: 0 API: 1
	// {700 300} <nil> | Secrets Manager: 1 API: 2
	// {700 300} <nil> | Secrets Manager: 0 API: 1
}
