package httpsource

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A request is sent up to maxAttempts times, as the AWS SDK does by default.
const maxAttempts = 3

// firstBackoff is the mean wait before the second attempt; each further one waits
// twice as long. Tests have none.
var firstBackoff = 100 * time.Millisecond

// maxRetryAfter bounds the wait that a Retry-After may impose. Beyond it, Fetch
// returns the error, and the caller decides.
const maxRetryAfter = 5 * time.Second

// ask sends a request and retries 429, 500, 502, 503, 504, and connections that
// break before the header arrives. It does not retry time-outs: the caller decides
// how long to wait.
func (o *object) ask(ctx context.Context, header http.Header, dial bool) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		u := *o.url // a RoundTripper may change it
		req := &http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Header: header.Clone()}
		resp, err := o.source.do(req.WithContext(ctx), dial)
		wait, retry := backoff(attempt, resp, err)
		if err != nil {
			err = o.redact(err)
		}
		if !retry || attempt == maxAttempts || tooLong(ctx, wait) {
			return resp, err
		}
		if err == nil {
			err = o.statusError(resp) // reads the body, so that the connection is used again
			resp.Body.Close()
		}
		if ctxErr := sleep(ctx, wait); ctxErr != nil {
			return nil, &requestError{text: "httpsource: " + ctxErr.Error() + " before another attempt, after: " + err.Error(), cause: ctxErr}
		}
	}
}

// backoff returns how long to wait before another attempt, and whether to retry at
// all.
func backoff(attempt int, resp *http.Response, err error) (wait time.Duration, retry bool) {
	wait = time.Duration((0.5 + rand.Float64()) * float64(firstBackoff<<(attempt-1)))
	if err != nil {
		return wait, broke(err)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if after, ok := retryAfter(resp.Header); ok {
			return max(wait, after), after <= maxRetryAfter
		}
		return wait, true
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return wait, true
	}
	return 0, false
}

// broke reports whether err says that a connection could not be made or ended
// without an answer.
func broke(err error) bool {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound
	}
	_, isOp := errors.AsType[*net.OpError](err)
	return isOp || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "transport connection broken") // net/http has no type for a truncated header
}

// retryAfter returns the wait in a Retry-After, which has seconds or a date.
func retryAfter(h http.Header) (time.Duration, bool) {
	v := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	at := parseTime(v)
	if at.IsZero() {
		return 0, false
	}
	now := parseTime(h.Get("Date")) // by the clock that set the date
	if now.IsZero() {
		now = time.Now()
	}
	return max(0, at.Sub(now)), true
}

// tooLong reports whether a wait would use up more than half of the time that ctx
// has left: the caller may have a copy to serve instead.
func tooLong(ctx context.Context, wait time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ok && wait > time.Until(deadline)/2
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
