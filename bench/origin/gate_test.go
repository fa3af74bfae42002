package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"
)

// newClient returns a client with separate connections.
func newClient(t testing.TB) *http.Client {
	transport := newTransport()
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func newOrigin(t testing.TB, handle http.HandlerFunc) string {
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

func serveBytes(object []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "object.bin", time.Time{}, bytes.NewReader(object))
	}
}

// fetch gets the whole answer to a request.
func fetch(t testing.TB, client *http.Client, r *http.Request) (*http.Response, []byte) {
	t.Helper()
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

func TestGateChangesNothing(t *testing.T) {
	var got *http.Request
	target := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("ETag", `"x"`)
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short")
	})
	g := newGate(t, target, GateOptions{})
	const path = "/b//%41%2Fb;c?x=1;2&y=%zz&Z"
	request := newRequest(t, http.MethodGet, g.URL()+path, nil)
	request.Host = "signed.example"
	res, body := fetch(t, newClient(t), request)
	if got.RequestURI != path {
		t.Errorf("the origin got %s, want %s", got.RequestURI, path)
	}
	if got.Host != "signed.example" {
		t.Errorf("the origin got Host %s", got.Host)
	}
	for _, name := range []string{"Accept-Encoding", "X-Forwarded-For"} {
		if got.Header.Get(name) != "" {
			t.Errorf("the gate added %s", name)
		}
	}
	if res.StatusCode != http.StatusTeapot || string(body) != "short" || res.ContentLength != 5 || res.Header.Get("ETag") != `"x"` {
		t.Errorf("answer: %s, %q, length %d, %v", res.Status, body, res.ContentLength, res.Header)
	}
}

func TestGateInjectsFirstByteLatency(t *testing.T) {
	const latency = 50 * time.Millisecond
	g := newGate(t, newOrigin(t, serveBytes([]byte("x"))), GateOptions{FirstByte: latency})
	client := newClient(t)
	for range 3 {
		start := time.Now()
		res, err := client.Do(newRequest(t, http.MethodGet, g.URL(), nil))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < latency {
			t.Errorf("first byte after %v, want at least %v", took, latency)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// The latency runs from the end of an upload: a store cannot answer before it has the object.
func TestLatencyComesAfterTheUpload(t *testing.T) {
	const latency, pause = 100 * time.Millisecond, 150 * time.Millisecond
	g := newGate(t, newOrigin(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }),
		GateOptions{FirstByte: latency})
	start := time.Now()
	body := io.MultiReader(strings.NewReader("first"), slowReader{pause}, strings.NewReader("last"))
	fetch(t, newClient(t), newRequest(t, http.MethodPut, g.URL(), body))
	if took := time.Since(start); took < latency+pause {
		t.Errorf("answer after %v, want at least %v", took, latency+pause)
	}
	if got, want := g.Counts(), (Counts{1, int64(len("firstlast"))}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

type slowReader struct{ pause time.Duration }

func (r slowReader) Read([]byte) (int, error) {
	time.Sleep(r.pause)
	return 0, io.EOF
}

func TestGateLimitsBandwidth(t *testing.T) {
	const size, bandwidth, burst = 1 << 20, 4 << 20, 64 << 10
	const atLeast = time.Duration(float64(size-burst) / bandwidth * float64(time.Second))
	object := Object(size, 1)
	target := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			io.Copy(io.Discard, r.Body)
			return
		}
		serveBytes(object)(w, r)
	})
	g := newGate(t, target, GateOptions{Bandwidth: bandwidth, Burst: burst})
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		t.Run(method, func(t *testing.T) {
			var body io.Reader
			if method == http.MethodPut {
				body = bytes.NewReader(object)
			}
			before, start := g.Counts(), time.Now()
			_, answer := fetch(t, newClient(t), newRequest(t, method, g.URL(), body))
			if took := time.Since(start); took < atLeast {
				t.Errorf("%d bytes in %v, want at least %v", size, took, atLeast)
			}
			if method == http.MethodGet && !bytes.Equal(answer, object) {
				t.Error("the bytes differ")
			}
			if got, want := g.Counts().Sub(before), (Counts{1, size}); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
		})
	}
}

// Each client connection has its own bandwidth. The bytes are its burst; with a shared
// one the last connection would wait for 16 minutes.
func TestBandwidthIsPerConnection(t *testing.T) {
	const burst, connections = 20, 50
	g := newGate(t, newOrigin(t, serveBytes(Object(2_000, 1))), GateOptions{Bandwidth: 1, Burst: burst})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	for range connections {
		client, request := newClient(t), newRequest(t, http.MethodGet, g.URL(), nil).WithContext(ctx)
		clients.Go(func() {
			res, err := client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			if _, err := io.ReadFull(res.Body, make([]byte, burst)); err != nil {
				t.Errorf("its burst: %v", err)
			}
		})
	}
	clients.Wait()
}

// Bytes that have passed the limit must not wait in a buffer for more: at this rate 4 KiB would take more than an hour.
func TestBytesArriveAsTheyPass(t *testing.T) {
	g := newGate(t, newOrigin(t, serveBytes(Object(100_000, 1))), GateOptions{Bandwidth: 1, Burst: 20})
	res, err := newClient(t).Get(g.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 20)); err != nil {
		t.Error(err)
	}
}

// A client that has read its answer must find it counted, at once.
func TestCountsAreExactWhenTheAnswerIsThere(t *testing.T) {
	const size = 300_000
	g := newGate(t, newOrigin(t, serveBytes(Object(size, 1))), GateOptions{})
	client := newClient(t)
	request := newRequest(t, http.MethodGet, g.URL(), nil)
	body := make([]byte, size)
	for i := range 300 {
		before := g.Counts()
		res, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadFull(res.Body, body) // not to EOF: that comes with the last byte, or later
		if got, want := g.Counts().Sub(before), (Counts{1, size}); got != want || err != nil {
			t.Fatalf("request %d: %+v, %v, want %+v", i, got, err, want)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

func TestKeepAlive(t *testing.T) {
	var origins sync.Map // the connections that the origin has seen
	g := newGate(t, newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		origins.Store(r.RemoteAddr, true)
		io.WriteString(w, "ok")
	}), GateOptions{})
	client := newClient(t)
	for i := range 5 {
		request := newRequest(t, http.MethodGet, g.URL(), nil)
		ctx := httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if info.Reused != (i > 0) {
				t.Errorf("request %d: connection reused: %t", i, info.Reused)
			}
		}})
		fetch(t, client, request.WithContext(ctx))
	}
	n := 0
	origins.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d connections to the origin, want 1", n)
	}
}

// stall is an origin that sends the head and some bytes of its answer, and then
// waits until its client disconnects.
func stall(t testing.TB, some int) (target string, reached, gone <-chan struct{}) {
	began, ended := make(chan struct{}), make(chan struct{})
	target = newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.Header().Set("Content-Length", "1000000")
		w.Write(make([]byte, some))
		w.(http.Flusher).Flush()
		close(began)
		<-r.Context().Done()
	})
	return target, began, ended
}

// When a client closes its connection, the gate stops waiting and cancels the request to the origin.
func TestClientAbortReachesTheOrigin(t *testing.T) {
	for name, test := range map[string]struct {
		some int
		GateOptions
	}{
		"in the first byte's latency": {0, GateOptions{FirstByte: time.Hour}},
		"in the origin's own time":    {1000, GateOptions{}},
		"in the bandwidth's wait":     {500_000, GateOptions{Bandwidth: 1, Burst: 100_000}},
	} {
		t.Run(name, func(t *testing.T) {
			target, reached, gone := stall(t, test.some)
			g := newGate(t, target, test.GateOptions)
			ctx, abort := context.WithCancel(t.Context())
			defer abort()
			request := newRequest(t, http.MethodGet, g.URL(), nil).WithContext(ctx)
			if test.FirstByte > 0 {
				go func() {
					<-reached
					abort()
				}()
			}
			res, err := newClient(t).Do(request)
			if err == nil {
				io.ReadFull(res.Body, make([]byte, 10))
				abort()
				res.Body.Close()
			} else if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			waitFor(t, "the origin's context", gone)
			if got := g.Counts().Calls; got != 1 {
				t.Errorf("%d calls, want 1", got)
			}
		})
	}
}

// A body that the origin cuts off must not look complete.
func TestBrokenBodyStaysBroken(t *testing.T) {
	for _, length := range []string{"1000", ""} { // without a length it is chunked
		g := newGate(t, newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			w.Write(make([]byte, 10))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), GateOptions{})
		res, err := newClient(t).Get(g.URL())
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if len(body) != 10 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("length %q: %d bytes, %v, want 10 and an unexpected EOF", length, len(body), err)
		}
	}
}

func TestGateWithoutOrigin(t *testing.T) {
	g := newGate(t, "http://127.0.0.1:1", GateOptions{}) // no server listens there
	res, body := fetch(t, newClient(t), newRequest(t, http.MethodGet, g.URL()+"/a", nil))
	if res.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "GET /a") {
		t.Errorf("%s: %s", res.Status, body)
	}
}

func TestCloseEndsRequestsUnderWay(t *testing.T) {
	target, reached, gone := stall(t, 10)
	g := newGate(t, target, GateOptions{FirstByte: time.Hour})
	client := newClient(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		res, err := client.Get(g.URL())
		if err == nil {
			res.Body.Close()
			t.Errorf("got an answer: %s", res.Status)
		}
	}()
	waitFor(t, "the request", reached)
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	waitFor(t, "the client's error", ended)
	waitFor(t, "the origin's context", gone)
}

// While the origin does not read, the gate does not read from the client either, and cannot detect its end.
func TestCloseEndsUploadsThatNobodyReads(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	target := newOrigin(t, func(http.ResponseWriter, *http.Request) {
		close(reached)
		<-release
	})
	defer close(release)
	g := newGate(t, target, GateOptions{})
	request := newRequest(t, http.MethodPut, g.URL(), bytes.NewReader(make([]byte, 64<<20)))
	client := newClient(t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if res, err := client.Do(request); err == nil {
			res.Body.Close()
			t.Errorf("got an answer: %s", res.Status)
		}
	}()
	waitFor(t, "the request", reached)
	eventually(t, "full buffers", func() bool {
		before := g.Counts().Bytes
		time.Sleep(50 * time.Millisecond)
		return before > 0 && g.Counts().Bytes == before
	})
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	waitFor(t, "the client's error", ended)
}

func TestStartGateRejectsTargets(t *testing.T) {
	for _, target := range []string{"", "localhost", "http://", "http://h/path", "http://h:port"} {
		if _, err := StartGate(target, GateOptions{}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", target)) {
			t.Errorf("StartGate(%q) = %v", target, err)
		}
	}
}

func TestBurstHasADefault(t *testing.T) {
	if g := newGate(t, "http://127.0.0.1:1", GateOptions{}); g.options.Burst != 256<<10 {
		t.Errorf("burst %d", g.options.Burst)
	}
}
