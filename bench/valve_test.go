package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// valve is a relay to an origin. While it is shut, requests pass and answers are
// held until the valve is opened.
type valve struct {
	listener net.Listener
	target   string
	relays   sync.WaitGroup

	mu     sync.Mutex
	opened chan struct{} // closed while the valve is open
	ends   []net.Conn
	closed bool
}

func newValve(t *testing.T, target string) *valve {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{listener: l, target: target, opened: make(chan struct{})}
	v.open()
	v.relays.Go(v.accept)
	t.Cleanup(v.close)
	return v
}

func (v *valve) addr() string { return v.listener.Addr().String() }

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.opened = make(chan struct{})
}

func (v *valve) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.release()
}

// release ends the waits, while v.mu is held.
func (v *valve) release() {
	select {
	case <-v.opened:
	default:
		close(v.opened)
	}
}

func (v *valve) close() {
	v.listener.Close()
	v.mu.Lock()
	v.closed = true
	v.release() // a test that failed has left it shut
	for _, c := range v.ends {
		c.Close()
	}
	v.mu.Unlock()
	v.relays.Wait()
}

func (v *valve) accept() {
	for {
		client, err := v.listener.Accept()
		if err != nil {
			return
		}
		origin, err := net.Dial("tcp", v.target)
		if err != nil || !v.keep(client, origin) {
			client.Close()
			continue
		}
		v.relays.Go(func() { pass(origin, client) })
		v.relays.Go(func() { pass(client, held{v, origin}) })
	}
}

// keep records both connections, to close them at the end of the test.
func (v *valve) keep(ends ...net.Conn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ends = append(v.ends, ends...)
	if v.closed {
		ends[1].Close()
	}
	return !v.closed
}

func pass(to net.Conn, from io.ReadCloser) {
	_, _ = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from}) // no splice, which would bypass the valve
	to.Close()
	from.Close()
}

// held is the connection to the origin: reads from it wait while the valve is shut.
type held struct {
	*valve
	net.Conn
}

func (h held) Close() error { return h.Conn.Close() }

func (h held) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.mu.Lock()
	opened := h.opened
	h.mu.Unlock()
	<-opened
	return n, err
}
