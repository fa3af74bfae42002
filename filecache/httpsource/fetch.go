package httpsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/internal/redial"
)

type object struct {
	source Source
	url    *url.URL
	id     filecache.ID
	err    error // why the URL cannot be used
}

// ID implements filecache.Object.
func (o *object) ID() (filecache.ID, error) { return o.id, o.err }

// Fetch implements filecache.Object.
func (o *object) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	if o.err != nil {
		return nil, o.err
	}
	header, err := requestHeader(req)
	if err != nil {
		return nil, err
	}
	resp, err := o.ask(ctx, header, req.NewConnection)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotModified && req.IfNoneMatch != "" {
		resp.Body.Close()
		if !confirms(resp.Header, req.IfNoneMatch) {
			return o.Fetch(ctx, filecache.Request{Offset: req.Offset, Length: req.Length, NewConnection: req.NewConnection})
		}
		return &filecache.Response{NotModified: true}, nil
	}
	r, err := o.response(resp, req)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return r, nil
}

// requestHeader returns the header for req.
func requestHeader(req filecache.Request) (http.Header, error) {
	// Without this, net/http requests gzip and decodes it. Length and ETag would
	// belong to other bytes.
	h := http.Header{"Accept-Encoding": {"identity"}}
	if req.IfNoneMatch != "" {
		if t, ok := tokenTime(req.IfNoneMatch); ok {
			h.Set("If-Modified-Since", t)
		} else {
			h.Set("If-None-Match", req.IfNoneMatch)
		}
	}
	if req.IfMatch != "" {
		if isWeak(req.IfMatch) {
			return nil, errors.New("httpsource: the server's ETag is weak, so parts of the object cannot be told from those of another version")
		}
		if t, ok := tokenTime(req.IfMatch); ok {
			h.Set("If-Unmodified-Since", t)
		} else {
			h.Set("If-Match", req.IfMatch)
		}
	}
	if r := rangeHeader(req); r != "" {
		h.Set("Range", r)
	}
	return h, nil
}

func rangeHeader(r filecache.Request) string {
	switch {
	case r.Length > 0:
		return fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1)
	case r.Offset > 0:
		return fmt.Sprintf("bytes=%d-", r.Offset)
	}
	return ""
}

// response converts resp into a Response after checking that it answers req.
func (o *object) response(resp *http.Response, req filecache.Request) (*filecache.Response, error) {
	var (
		size int64
		err  error
	)
	switch resp.StatusCode {
	case http.StatusOK:
		size, err = wholeSize(resp, req)
	case http.StatusPartialContent:
		size, err = o.partSize(resp, req)
	default:
		err = o.statusError(resp)
	}
	if err != nil {
		return nil, err
	}
	if limit := o.source.maxSize(); size > limit {
		return nil, fmt.Errorf("httpsource: the object has %d bytes, more than Source.MaxSize allows: %d", size, limit)
	}
	tag := tagOf(resp.Header)
	if req.IfMatch != "" && tag != req.IfMatch {
		return nil, filecache.ErrChanged // from a server that ignores If-Match
	}
	r := &filecache.Response{Body: resp.Body, Size: size, Framed: framed(resp), ETag: tag, LastModified: lastModified(resp.Header)}
	if resp.StatusCode == http.StatusOK {
		r.Checksums = checksums(resp.Header)
	}
	if size < 0 {
		r.Body = &limited{resp.Body, o.source.maxSize()}
	}
	return r, nil
}

// limited is a body of unknown length with a limit.
type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errors.New("httpsource: the object has more bytes than Source.MaxSize allows")
	}
	return n, err
}

// wholeSize returns the size of the object in a complete answer, or -1 if it is
// unknown.
func wholeSize(resp *http.Response, req filecache.Request) (int64, error) {
	if want := rangeHeader(req); want != "" {
		return 0, fmt.Errorf("httpsource: requested range %q, got the whole object: the server does not support ranges", want)
	}
	return resp.ContentLength, nil
}

// partSize returns the size of the whole object in a partial answer, or -1 if it is
// unknown. It is an error if resp is not the requested part.
func (o *object) partSize(resp *http.Response, req filecache.Request) (int64, error) {
	want, got := rangeHeader(req), resp.Header.Get("Content-Range")
	r, ok := parseContentRange(got)
	if !ok || want == "" || r.first != req.Offset || req.Length > 0 && r.end() > req.Offset+req.Length ||
		r.end() < r.wantedEnd(req) {
		return 0, fmt.Errorf("httpsource: requested range %q, got %s", want, o.scrub(shown(got)))
	}
	if n := r.end() - r.first; resp.ContentLength >= 0 && resp.ContentLength != n {
		return 0, fmt.Errorf("httpsource: Content-Length is %d for a range of %d bytes", resp.ContentLength, n)
	}
	return r.size, nil
}

// A contentRange is a parsed Content-Range header.
type contentRange struct {
	first, last int64
	size        int64 // of the whole object; -1 if unknown
}

// end returns the offset of the first byte after the range.
func (r contentRange) end() int64 { return r.last + 1 }

// wantedEnd returns where the range for req must end. If the size is unknown, the
// server may end it earlier.
func (r contentRange) wantedEnd(req filecache.Request) int64 {
	switch {
	case r.size < 0:
		return 0
	case req.Length > 0:
		return min(r.size, req.Offset+req.Length)
	default:
		return r.size
	}
}

var contentRanges = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)$`)
})

func parseContentRange(s string) (r contentRange, ok bool) {
	m := contentRanges().FindStringSubmatch(s)
	if m == nil {
		return contentRange{}, false
	}
	r.first, _ = strconv.ParseInt(m[1], 10, 64)
	r.last, _ = strconv.ParseInt(m[2], 10, 64)
	r.size = -1
	if m[3] != "*" {
		r.size, _ = strconv.ParseInt(m[3], 10, 64)
	}
	return r, r.first <= r.last && (r.size < 0 || r.last < r.size)
}

// shown formats a Content-Range for an error. A server may put anything into it,
// including the signature of the URL.
func shown(s string) string {
	if s == "" {
		return "no Content-Range"
	}
	if strings.Trim(strings.TrimPrefix(s, "bytes "), "0123456789-/*") != "" || len(s) > 100 {
		return "a Content-Range that is not one of bytes"
	}
	return strconv.Quote(s)
}

// framed reports whether a cut body is distinguishable from a complete one: HTTP/2
// and chunked encoding mark the end, and the transport verifies gzip's checksum.
func framed(resp *http.Response) bool {
	return resp.ProtoMajor >= 2 || resp.Uncompressed ||
		len(resp.TransferEncoding) > 0 && resp.TransferEncoding[0] == "chunked"
}

// patience bounds the wait for an answer's header if Source.Client is nil. A limit
// for the body would limit its size.
const patience = 30 * time.Second

var errNoAnswer = fmt.Errorf("no answer within %v: %w", patience, os.ErrDeadlineExceeded)

// client returns the client for one request. With dial, it opens a new connection.
func (s Source) client(dial bool) *http.Client {
	client := &http.Client{}
	if s.Client != nil {
		*client = *s.Client
	}
	client.CheckRedirect = checkRedirect(client.CheckRedirect)
	if dial {
		client = redial.Client(client)
	}
	return client
}

// do sends req.
func (s Source) do(req *http.Request, dial bool) (*http.Response, error) {
	client := s.client(dial)
	if s.Client != nil {
		return client.Do(req)
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(patience, func() { cancel(errNoAnswer) })
	resp, err := client.Do(req.WithContext(ctx))
	if !timer.Stop() && context.Cause(ctx) == errNoAnswer {
		if err == nil {
			resp.Body.Close()
		}
		return nil, errNoAnswer
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	resp.Body = &body{resp.Body, cancel}
	return resp, nil
}

// body ends its request's context when it is closed.
type body struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (b *body) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// maxRedirects is about as many as net/http follows.
const maxRedirects = 10

// checkRedirect returns a policy that applies the rules of this package and then
// next, the client's own. net/http forwards Authorization and cookies only to the
// same host.
func checkRedirect(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		from, to := via[len(via)-1].URL.Scheme, req.URL.Scheme
		switch {
		case len(via) > maxRedirects:
			return fmt.Errorf("more than %d redirects", maxRedirects)
		case to != "https" && (to != "http" || from == "https"):
			return fmt.Errorf("refused to follow a redirect from %s to %s", from, to)
		}
		req.Header.Del("Referer") // the URL before, with its signature
		if next != nil {
			return next(req, via)
		}
		return nil
	}
}
