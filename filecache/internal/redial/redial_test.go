package redial_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/filecache/internal/redial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server counts its connections.
func server(t *testing.T, h http.HandlerFunc, http2 bool) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var dialed atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = http2
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialed.Add(1)
		}
	}
	if http2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, &dialed
}

func get(t *testing.T, c *http.Client, url string) int {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.ProtoMajor
}

func TestIdleConnectionsAreNotUsedAgain(t *testing.T) {
	s, dialed := server(t, func(http.ResponseWriter, *http.Request) {}, false)
	c := s.Client()
	get(t, c, s.URL)
	get(t, c, s.URL)
	if n := dialed.Load(); n != 1 {
		t.Fatalf("%d connections, want one that is reused", n)
	}
	get(t, redial.Client(c), s.URL)
	if n := dialed.Load(); n != 2 {
		t.Errorf("%d connections, want a second one", n)
	}
	get(t, c, s.URL) // the first was closed, and the second served one request only
	if n := dialed.Load(); n != 3 {
		t.Errorf("%d connections, want a third one", n)
	}
}

// A connection of HTTP/2 is never idle while one of its requests hangs.
func TestHangingConnectionOfHTTP2IsNotUsed(t *testing.T) {
	arrived := make(chan struct{})
	s, dialed := server(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			close(arrived)
			<-r.Context().Done()
		}
	}, true)
	c := s.Client()
	ctx, cancel := context.WithCancel(t.Context())
	hangs := make(chan error)
	go func() {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/hang", nil)
		_, err := c.Do(req)
		hangs <- err
	}()
	<-arrived
	if v := get(t, redial.Client(c), s.URL); v != 2 {
		t.Errorf("HTTP/%d, want 2", v)
	}
	if n := dialed.Load(); n != 2 {
		t.Errorf("%d connections, want a second one", n)
	}
	cancel()
	if err := <-hangs; err == nil {
		t.Error("a canceled request returned no error")
	}
}

type roundTripper struct {
	http.RoundTripper
	closed int
}

func (r *roundTripper) CloseIdleConnections() { r.closed++ }

func TestOtherTransportsAreToldToCloseWhatIsIdle(t *testing.T) {
	rt := &roundTripper{RoundTripper: http.DefaultTransport}
	c := &http.Client{Transport: rt}
	if redial.Client(c) != c || rt.closed != 1 {
		t.Errorf("idle connections were closed %d times", rt.closed)
	}
}
