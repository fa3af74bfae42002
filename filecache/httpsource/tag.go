package httpsource

import (
	"net/http"
	"strings"
	"time"
	"unicode"
)

// A tag is what filecache knows as an ETag. That of a server without ETags is the
// time of the last modification, behind a prefix that no ETag has.
const tokenPrefix = "Last-Modified: "

// settled is how much older than its answer a modification must be for its time
// to stand for the bytes. Times are in seconds, so in the second of a change a
// second one shows no difference. The rest is for a clock that sets
// Last-Modified and is not the one that sets Date: RFC 7232 has the same minute.
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

// isETag reports whether s is an ETag. What is not could mean something else in a
// request: a * matches everything.
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
// Servers also say 304 to If-Modified-Since when the object is older than that,
// as after a roll-back. So the answer must name the very time.
func confirms(h http.Header, tag string) bool {
	if t, ok := tokenTime(tag); ok {
		return h.Get("Last-Modified") == t
	}
	e := h.Get("ETag")
	return e == "" || strings.TrimPrefix(e, "W/") == strings.TrimPrefix(tag, "W/")
}

func lastModified(h http.Header) time.Time { return parseTime(h.Get("Last-Modified")) }

// parseTime returns the zero Time for what is not a time.
func parseTime(s string) time.Time {
	t, err := http.ParseTime(s)
	if err != nil {
		return time.Time{}
	}
	return t
}
