package origintest

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/warmcache/warmcache/filecache/objecttest"
)

// RunConformance runs package objecttest on the object of a source.
func RunConformance(t *testing.T, source Source) {
	s := newServer(t)
	s.put(content(large, 1))
	if err := objecttest.TestObject(t.Context(), source(t, s.URL), s.origin()); err != nil {
		t.Error(err)
	}
}

// origin returns the functions that let objecttest control the server.
func (s *Server) origin() objecttest.Origin {
	always := func(on bool, change func(*answer)) {
		if !on {
			s.misbehave(nil)
			return
		}
		s.misbehave(func(_ int, _ *http.Request, a *answer) { change(a) })
	}
	// after truncates the body to n bytes, but keeps the full Content-Length.
	after := func(a *answer, n int) {
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
		a.body = a.body[:min(n, len(a.body))]
	}
	return objecttest.Origin{
		Content: s.present(),
		Replace: func(content []byte) error { always(false, nil); s.put(content); return nil },
		Remove:  func() error { always(true, status(http.StatusNotFound, "NoSuchKey")); return nil },
		Refuse:  func(refuse bool) { always(refuse, status(http.StatusForbidden, "AccessDenied")) },
		Cut:     func(n int) { always(n >= 0, func(a *answer) { after(a, n) }) },
		Stall:   func(n int) { always(n >= 0, func(a *answer) { after(a, n); a.end = stalled }) },
	}
}
