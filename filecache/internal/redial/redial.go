// Package redial sends HTTP requests past connections that were kept open: after a
// freeze of the machine, or when a request got no answer, they may be dead without
// anybody having been told.
package redial

import "net/http"

// Client closes the idle connections of c and returns a client like c for one
// request, which dials a connection and closes it afterwards.
//
// It returns c itself if its Transport is not an *http.Transport, which cannot be
// told to dial. The idle connections are closed even then, if that Transport has a
// method CloseIdleConnections.
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
	// A copy, since closing idle connections is not enough: requests that hang on
	// one connection of HTTP/2 keep it in use, and more would join them.
	fresh, once := *c, transport.Clone()
	once.DisableKeepAlives = true
	fresh.Transport = once
	return &fresh
}
