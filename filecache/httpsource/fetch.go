package httpsource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

type object struct {
	source Source
	url    *url.URL
	id     filecache.ID
	err    error // what is wrong with the URL
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
	u := *o.url // a RoundTripper may change it
	resp, err := o.source.do((&http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Header: header}).WithContext(ctx))
	if err != nil {
		return nil, o.redact(err)
	}
	if resp.StatusCode == http.StatusNotModified && req.IfNoneMatch != "" {
		resp.Body.Close()
		if !confirms(resp.Header, req.IfNoneMatch) {
			return o.Fetch(ctx, filecache.Request{Offset: req.Offset, Length: req.Length})
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

// requestHeader returns the header that asks for what req says.
func requestHeader(req filecache.Request) (http.Header, error) {
	// Without this, net/http asks for gzip and undoes it: length and ETag are of
	// other bytes then.
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
			return nil, errors.New("httpsource: the server's ETag is weak: it does not say whether parts are of the same bytes")
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

// response turns an answer that has arrived into a Response, if it is the answer
// to req.
func (o *object) response(resp *http.Response, req filecache.Request) (*filecache.Response, error) {
	var (
		size int64
		err  error
	)
	switch resp.StatusCode {
	case http.StatusOK:
		size, err = wholeSize(resp, req)
	case http.StatusPartialContent:
		size, err = partSize(resp, req)
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
		return nil, filecache.ErrChanged // by a server that does not know If-Match
	}
	r := &filecache.Response{Body: resp.Body, Size: size, ETag: tag, LastModified: lastModified(resp.Header)}
	if resp.StatusCode == http.StatusOK {
		r.Checksums = checksums(resp.Header)
	}
	return r, nil
}

// wholeSize returns the size of a whole object, or -1 if the answer does not say
// it: without a length, a cut body looks complete.
func wholeSize(resp *http.Response, req filecache.Request) (int64, error) {
	if asked := rangeHeader(req); asked != "" {
		return 0, fmt.Errorf("httpsource: asked for range %q, got the whole: the server does not know ranges", asked)
	}
	return resp.ContentLength, nil
}

// partSize returns the size of the object that the body is a part of, after
// making sure that it is the part that was asked for.
func partSize(resp *http.Response, req filecache.Request) (int64, error) {
	asked, got := rangeHeader(req), resp.Header.Get("Content-Range")
	_, total, _ := strings.Cut(got, "/")
	if total == "*" {
		return -1, nil
	}
	size, err := strconv.ParseInt(total, 10, 64)
	end := size
	if req.Length > 0 {
		end = min(size, req.Offset+req.Length)
	}
	if err != nil || asked == "" || got != fmt.Sprintf("bytes %d-%d/%d", req.Offset, end-1, size) {
		return 0, fmt.Errorf("httpsource: asked for range %q, got %.100q", asked, got)
	}
	if resp.ContentLength != end-req.Offset {
		return 0, fmt.Errorf("httpsource: Content-Length is %d for range %q", resp.ContentLength, got)
	}
	return size, nil
}

// patience is how long an answer's header may take if the caller has set no
// limits. Limiting the body, too, would set one to the size.
const patience = 30 * time.Second

var errNoAnswer = fmt.Errorf("no answer within %v: %w", patience, os.ErrDeadlineExceeded)

// do sends req.
func (s Source) do(req *http.Request) (*http.Response, error) {
	if s.Client != nil {
		client := *s.Client
		client.CheckRedirect = checkRedirect(client.CheckRedirect)
		return client.Do(req)
	}
	client := http.Client{CheckRedirect: checkRedirect(nil)}
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

// checkRedirect returns the rules for redirects, and next after them: that a
// client has rules of its own does not make these less necessary. net/http itself
// takes Authorization and cookies along to the same host only.
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
