package httpsource

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/warmcache/warmcache/filecache"
)

// A StatusError reports a status other than 200, 206 and 304.
//
// It matches [fs.ErrNotExist] for 404, 410, and 405 if the requested version of an
// S3 object is a delete marker. It matches [filecache.ErrChanged] for 412. A 403
// matches neither: an expired signature says nothing about the object.
type StatusError struct {
	StatusCode int

	// Code is the service's own code for the error, such as "AccessDenied", as S3,
	// Google and Azure send it. The rest of the body is left out: many servers
	// repeat the URL or the signature in it.
	Code string

	deleteMarker bool // the requested version is one
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("httpsource: %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	return s
}

// Is reports whether e matches target, by its status.
func (e *StatusError) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		// A missing bucket is a mistake and not a deleted object.
		return target == fs.ErrNotExist && e.Code != "NoSuchBucket" && e.Code != "ContainerNotFound"
	case http.StatusMethodNotAllowed:
		return target == fs.ErrNotExist && e.deleteMarker
	case http.StatusPreconditionFailed:
		return target == filecache.ErrChanged
	}
	return false
}

// maxErrorBody bounds the bytes read of an error's body. The errors of all known
// services fit, so that their connection can be reused.
const maxErrorBody = 8 << 10

func (o *object) statusError(resp *http.Response) error {
	e := &StatusError{StatusCode: resp.StatusCode}
	e.deleteMarker = o.id.Version != "" && resp.Header.Get("X-Amz-Delete-Marker") == "true"
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // a part of it is enough
	_, rest, _ := strings.Cut(string(b), "<Code>")
	if code, _, ok := strings.Cut(rest, "</Code>"); ok && o.isCode(code) {
		e.Code = code
	}
	return e
}

// isCode reports whether s looks like an error code and is not a secret that the
// server repeats.
func (o *object) isCode(s string) bool {
	letter := func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
	if s == "" || len(s) > 64 || strings.TrimFunc(s, letter) != "" {
		return false
	}
	return !slices.ContainsFunc(o.secrets(), func(secret string) bool {
		return strings.Contains(s, secret) || strings.Contains(secret, s)
	})
}

// requestError reports a request that got no answer.
type requestError struct {
	text  string
	cause error
}

func (e *requestError) Error() string { return e.text }

// Is and As examine the cause, but a missing socket or certificate file must not
// match as a missing object. So requestError has no Unwrap.
func (e *requestError) Is(target error) bool {
	return target != fs.ErrNotExist && target != filecache.ErrChanged && errors.Is(e.cause, target)
}

func (e *requestError) As(target any) bool { return errors.As(e.cause, target) }

// redact returns err without the URL and its secrets.
func (o *object) redact(err error) error {
	for { // net/http puts the whole URL in front
		ue, ok := err.(*url.Error)
		if !ok {
			break
		}
		err = ue.Err
	}
	return &requestError{text: "httpsource: " + o.scrub(err.Error()), cause: err}
}

const redacted = "REDACTED"

// scrub removes the secrets of o's URL from text. It also removes the query and userinfo
// of any other URL, since a redirect or a proxy may have its own secrets.
func (o *object) scrub(text string) string {
	for _, s := range o.secrets() {
		text = strings.ReplaceAll(text, s, redacted)
	}
	// The rest repeats the server's header, which could not be parsed.
	if i := strings.Index(text, "Location header"); i >= 0 {
		text = text[:i+len("Location header")]
	}
	// Compiled here, since errors are rare and package initialization is not.
	text = regexp.MustCompile(`//[^/\s"]*@`).ReplaceAllString(text, "//")
	return regexp.MustCompile(`([?#])(\\.|[^\s"\\])*`).ReplaceAllString(text, "${1}"+redacted)
}

// minSecret is the length of the shortest value that scrub removes. Removing shorter
// ones would garble the text and hide nothing.
const minSecret = 4

// secrets returns the parts of the URL that must not be shown, in all their
// spellings, longest first.
func (o *object) secrets() []string {
	var list []string
	add := func(s string) {
		plain := unescape(s)
		for _, v := range []string{s, plain, url.QueryEscape(plain), url.PathEscape(plain)} {
			quoted := strconv.Quote(v)
			list = append(list, v, quoted[1:len(quoted)-1])
		}
	}
	// An unescaped # in the query turns the rest of it into a fragment.
	for _, query := range []string{o.url.RawQuery, o.url.EscapedFragment()} {
		add(query)
		for p := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(p, "=")
			if value == "" {
				value = name // the whole query may be a token
			}
			add(value)
		}
	}
	if o.url.User != nil {
		password, _ := o.url.User.Password()
		add(o.url.User.Username())
		add(password)
		add(o.url.User.String())
	}
	list = slices.DeleteFunc(list, func(s string) bool { return len(s) < minSecret })
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}
