package origin

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

const (
	// DefaultFirstByte is the time to the first byte of an answer from S3 in the same region.
	DefaultFirstByte = 30 * time.Millisecond
	// DefaultBandwidth is the bandwidth of one connection to S3, in bytes per second.
	DefaultBandwidth = 90_000_000
	// DefaultBurst is how many bytes pass at once after a pause. Bodies up to this size take no time after the first byte.
	DefaultBurst = 256 << 10
)

// GateOptions says how slow a Gate is. A zero FirstByte or Bandwidth adds nothing and limits nothing.
type GateOptions struct {
	// FirstByte is the time from the arrival of a request, body included, to the first byte of its answer. It includes
	// the origin's own time: an answer waits only for the rest.
	FirstByte time.Duration
	// Bandwidth limits the bodies on each client connection, in bytes per second for each direction.
	Bandwidth int
	// Burst is how many bytes pass without limit after a pause of the connection. Zero means DefaultBurst.
	Burst int
}

// A Gate is an HTTP proxy on the loopback interface that delays an origin as a network does, and counts its calls. It
// does not change the Host header, the path and the query, so signed and presigned requests stay valid. It streams
// bodies, and a client that closes its connection ends its request at the origin as well.
type Gate struct {
	tally
	options   GateOptions
	url       string
	proxy     *httputil.ReverseProxy
	transport *http.Transport
	server    *http.Server
	cancel    context.CancelFunc // of every request under way

	mu     sync.Mutex
	closed bool
	active sync.WaitGroup // requests under way and the accept loop; grows only while not closed
}

// StartGate starts a gate in front of the origin at target, an http or https URL without a path.
func StartGate(target string, o GateOptions) (*Gate, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("origin: start gate to %q: %w", target, err)
	}
	if u.Host == "" || (u.Path != "" && u.Path != "/") {
		return nil, fmt.Errorf("origin: start gate to %q: want scheme://host:port without a path", target)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("origin: start gate to %q: %w", target, err)
	}
	o.Burst = cmp.Or(o.Burst, DefaultBurst)
	g := &Gate{options: o, url: "http://" + listener.Addr().String(), transport: newTransport()}
	g.proxy = g.newProxy(u)
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.server = &http.Server{
		Handler:     http.HandlerFunc(g.serve),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, lineKey{}, newLine(o.Bandwidth, o.Burst))
		},
		ErrorLog: quiet,
	}
	g.active.Go(func() { g.server.Serve(listener) })
	return g, nil
}

// URL returns the gate's own address, to be used as the endpoint of clients.
func (g *Gate) URL() string { return g.url }

// Close ends the requests under way and the gate. It does not close the origin.
func (g *Gate) Close() error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	err := g.server.Close() // before the cancel, so that connections break and no client gets a 502
	g.cancel()              // ends an upload that the origin does not read
	g.active.Wait()
	g.transport.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("origin: close gate: %w", err)
	}
	return nil
}

func (g *Gate) newProxy(target *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host // signed
			// The proxy has dropped the parts of the query that it cannot parse; they may be signed too.
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		ModifyResponse: holdFirstByte,
		ErrorHandler:   badGateway,
		Transport:      g.transport,
		BufferPool:     &buffers,
		FlushInterval:  -1, // at once
		ErrorLog:       quiet,
	}
}

func newTransport() *http.Transport {
	return &http.Transport{
		DisableCompression:    true, // otherwise the gate would add a header that the client did not sign
		MaxIdleConnsPerHost:   256,  // the gate needs no more new connections than its clients
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        64 << 10,
		WriteBufferSize:       64 << 10,
	}
}

// badGateway answers with the reason why the origin has not answered.
func badGateway(w http.ResponseWriter, r *http.Request, err error) {
	http.Error(w, fmt.Sprintf("origin: gate: %s %s: %v", r.Method, r.URL.Path, err), http.StatusBadGateway)
}

// quiet discards messages about broken connections: hosts kill clients on purpose.
var quiet = log.New(io.Discard, "", 0)

// enter registers a request, for which Close waits, unless the gate is closed.
func (g *Gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.active.Add(1)
	return true
}
