package httpsource

import (
	"net/http"
	"strings"
	"time"
	"unicode"
)

// A tag is the ETag of a Response. For a server without ETags it is the
// Last-Modified header behind a prefix that no ETag has.
const tokenPrefix = "Last-Modified: "

// settled is the minimum age of a modification before its time identifies the
// bytes. Last-Modified has seconds, so two changes in one second look alike.
// RFC 7232, 2.2.2, allows a minute, because Last-Modified and Date may come from
// different clocks.
const settled = time.Minute

// tagOf returns the tag of the object of an answer, or "" if it has none.
func tagOf(h http.Header) string {
	if e := h.Get("ETag"); isETag(e) {
		return e
	}
	modified, date := lastModified(h), parseTime(h.Get("Date"))
	if modified.IsZero() || date.Sub(modified) < settled {
		return ""
	}
	return tokenPrefix + h.Get("Last-Modified")
}

// isETag reports whether s is an ETag. Other values must not be sent: a * would match
// everything.
func isETag(s string) bool {
	s = strings.TrimPrefix(s, "W/")
	return len(s) >= 2 && s[0] == '"' && strings.IndexByte(s[1:], '"') == len(s)-2 &&
		!strings.ContainsFunc(s, unicode.IsControl)
}

func isWeak(tag string) bool { return strings.HasPrefix(tag, "W/") }

// tokenTime returns the time in a tag that is not an ETag.
func tokenTime(tag string) (string, bool) { return strings.CutPrefix(tag, tokenPrefix) }

// confirms reports whether a 304 means that tag is current.
//
// Servers also answer 304 to If-Modified-Since if the object is older, as after a
// rollback. So the answer must repeat the exact time.
func confirms(h http.Header, tag string) bool {
	if t, ok := tokenTime(tag); ok {
		return h.Get("Last-Modified") == t
	}
	e := h.Get("ETag")
	return e == "" || strings.TrimPrefix(e, "W/") == strings.TrimPrefix(tag, "W/")
}

func lastModified(h http.Header) time.Time { return parseTime(h.Get("Last-Modified")) }

// parseTime returns the zero Time if s is not a valid time.
func parseTime(s string) time.Time {
	t, err := http.ParseTime(s)
	if err != nil {
		return time.Time{}
	}
	return t
}
