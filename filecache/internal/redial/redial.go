// Package redial sends HTTP requests on new connections. After a freeze of the machine,
// or after a request without a response, the kept connections may be dead without either
// end knowing.
package redial

import "net/http"

// Client closes the idle connections of c. It returns a client like c for one request,
// which dials a new connection and closes it afterwards.
//
// If c's Transport is not an *http.Transport, Client cannot make it dial and returns c
// itself. It still closes the idle connections if that Transport has a
// CloseIdleConnections method.
func Client(c *http.Client) *http.Client {
	c.CloseIdleConnections()
	rt := c.Transport
	if rt == nil {
		rt = http.DefaultTransport
	}
	transport, ok := rt.(*http.Transport)
	if !ok {
		return c
	}
	// Closing idle connections is not enough, hence the copy. Requests that hang keep
	// an HTTP/2 connection in use, and new requests would join them.
	fresh, once := *c, transport.Clone()
	once.DisableKeepAlives = true
	fresh.Transport = once
	return &fresh
}
