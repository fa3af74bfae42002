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

// A StatusError is the error of an answer that is neither the object nor that it
// is not modified.
//
// It matches fs.ErrNotExist if the object is gone (404, 410, or 405 for a version
// of an S3 object that is a delete marker), and filecache.ErrChanged if it is not the one that was asked for (412). A 403 is
// neither: a signature that has expired says nothing about the object.
type StatusError struct {
	StatusCode int

	// Code is the service's own code for the error, such as "AccessDenied", if it
	// sent one as S3, Google and Azure do. The rest of what servers say is left
	// out: many repeat the URL or the signature.
	Code string

	deleteMarker bool // the answer to a version that is one
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("httpsource: %d %s", e.StatusCode, http.StatusText(e.StatusCode))
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	return s
}

// Is makes errors.Is work for what a status means.
func (e *StatusError) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		// That there is no such bucket is a mistake, not an object that was deleted.
		return target == fs.ErrNotExist && e.Code != "NoSuchBucket" && e.Code != "ContainerNotFound"
	case http.StatusMethodNotAllowed:
		return target == fs.ErrNotExist && e.deleteMarker
	case http.StatusPreconditionFailed:
		return target == filecache.ErrChanged
	}
	return false
}

// maxErrorBody is how much of an error's body is read: enough for all of what
// services send, so that the connection can be used again.
const maxErrorBody = 8 << 10

func (o *object) statusError(resp *http.Response) error {
	e := &StatusError{StatusCode: resp.StatusCode}
	e.deleteMarker = o.id.Version != "" && resp.Header.Get("X-Amz-Delete-Marker") == "true"
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what is there will do
	_, rest, _ := strings.Cut(string(b), "<Code>")
	if code, _, ok := strings.Cut(rest, "</Code>"); ok && o.isCode(code) {
		e.Code = code
	}
	return e
}

// isCode reports whether s looks like the code of an error, and is no secret that
// a server repeats.
func (o *object) isCode(s string) bool {
	letter := func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }
	if s == "" || len(s) > 64 || strings.TrimFunc(s, letter) != "" {
		return false
	}
	return !slices.ContainsFunc(o.secrets(), func(secret string) bool {
		return strings.Contains(s, secret) || strings.Contains(secret, s)
	})
}

// requestError is the error of a request without an answer.
type requestError struct {
	text  string
	cause error
}

func (e *requestError) Error() string { return e.text }

// Is and As see through to the cause, but for what would be taken for an answer:
// a missing socket or certificate file is no missing object. That is why there is
// no Unwrap.
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

// scrub takes secrets out of a text: those of o's URL, and what looks like the
// query or the userinfo of another one, to which the server redirected or
// through which a proxy is reached.
func (o *object) scrub(text string) string {
	for _, s := range o.secrets() {
		text = strings.ReplaceAll(text, s, redacted)
	}
	// The rest repeats what the server sent, and it does not even parse.
	if i := strings.Index(text, "Location header"); i >= 0 {
		text = text[:i+len("Location header")]
	}
	// Compiled here, since errors are rare and package initialization is not.
	text = regexp.MustCompile(`//[^/\s"]*@`).ReplaceAllString(text, "//")
	return regexp.MustCompile(`([?#])(\\.|[^\s"\\])*`).ReplaceAllString(text, "${1}"+redacted)
}

// minSecret is the length from which on a value is looked for in texts. To take
// out shorter ones would garble the text and hide nothing.
const minSecret = 4

// secrets returns what must not be shown of the URL, in all the ways it may be
// written, the longest first.
func (o *object) secrets() []string {
	var list []string
	add := func(s string) {
		plain := unescape(s)
		for _, v := range []string{s, plain, url.QueryEscape(plain), url.PathEscape(plain)} {
			quoted := strconv.Quote(v)
			list = append(list, v, quoted[1:len(quoted)-1])
		}
	}
	// A fragment may be a part of the query, before which a # was not escaped.
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
