package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
)

// script is a transport that sends one answer after the other, repeats the last, and
// records the times.
type script struct {
	mu      sync.Mutex
	answers []any // a status, a Retry-After, or an error
	at      []time.Time
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.answers[min(len(s.at), len(s.answers)-1)]
	s.at = append(s.at, time.Now())
	resp := &http.Response{StatusCode: 200, ContentLength: 5, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader("hello"))}
	switch a := a.(type) {
	case error:
		return nil, a
	case int:
		resp.StatusCode = a
	case string:
		resp.StatusCode = http.StatusTooManyRequests
		resp.Header.Set("Retry-After", a)
		resp.Header.Set("Date", monday)
	}
	return resp, nil
}

func (s *script) fetch(ctx context.Context) (*filecache.Response, error) {
	return httpsource.Source{Client: &http.Client{Transport: s}}.Object("https://h/a?sig=SECRET").Fetch(ctx, filecache.Request{})
}

func reset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
}

func TestFaultsOfTheMomentAreRetried(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answers  []any
		requests int
		ok       bool
	}{
		{"one 503", []any{503, 200}, 2, true},
		{"two 503", []any{503, 503, 200}, 3, true},
		{"503 for ever", []any{503}, 3, false},
		{"500, 502", []any{500, 502, 200}, 3, true},
		{"504", []any{504, 200}, 2, true},
		{"429 without Retry-After", []any{429, 200}, 2, true},
		{"one reset", []any{reset(), 200}, 2, true},
		{"one end before the header", []any{io.EOF, 200}, 2, true},
		{"resets for ever", []any{reset()}, 3, false},
		{"no such host", []any{&net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}, 200}, 1, false},
		{"no answer in time", []any{&net.OpError{Op: "read", Err: context.DeadlineExceeded}, 200}, 1, false},
		{"a certificate", []any{errors.New("x509: certificate signed by unknown authority"), 200}, 1, false},
		{"403", []any{403, 200}, 1, false},
		{"404", []any{404, 200}, 1, false},
		{"400", []any{400, 200}, 1, false},
		{"501", []any{501, 200}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{answers: tt.answers}
			resp, err := s.fetch(t.Context())
			if (err == nil) != tt.ok || len(s.at) != tt.requests {
				t.Errorf("%v after %d requests, want %d", err, len(s.at), tt.requests)
			}
			if err == nil {
				resp.Body.Close()
			} else if strings.Contains(err.Error(), "SECRET") || errors.Is(err, fs.ErrNotExist) && tt.name != "404" {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		header   string
		wait     time.Duration
		requests int
	}{
		{"2", 2 * time.Second, 2},
		{"Mon, 05 Jan 2026 10:00:03 GMT", 3 * time.Second, 2}, // three seconds after Date
		{"Mon, 05 Jan 2026 09:00:00 GMT", 0, 2},
		{"6", 0, 1}, // longer than a source waits on its own
		{"-1", 0, 2},
		{"soon", 0, 2},
		{"99999999999999999999", 0, 2},
	} {
		t.Run(tt.header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: []any{tt.header, 200}}
				resp, err := s.fetch(t.Context())
				if len(s.at) != tt.requests || (err == nil) != (tt.requests == 2) {
					t.Fatalf("%v after %d requests, want %d", err, len(s.at), tt.requests)
				}
				if err == nil {
					resp.Body.Close()
					if got := s.at[1].Sub(s.at[0]); got != tt.wait {
						t.Errorf("waited %v, want %v", got, tt.wait)
					}
				}
			})
		})
	}
}

// The Cache may have a stale copy to serve, so half of the time stays.
func TestRetriesLeaveHalfOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for left, requests := range map[time.Duration]int{3 * time.Second: 1, 5 * time.Second: 2} {
			s := &script{answers: []any{"2", 200}}
			ctx, cancel := context.WithTimeout(t.Context(), left)
			resp, err := s.fetch(ctx)
			if len(s.at) != requests {
				t.Errorf("%v left: %d requests, %v", left, len(s.at), err)
			}
			if err == nil {
				resp.Body.Close()
			} else if se, ok := errors.AsType[*httpsource.StatusError](err); !ok || se.StatusCode != 429 {
				t.Errorf("%v, want the server's answer", err)
			}
			cancel()
		}
	})
}

func TestCancelEndsTheWaitForAnotherAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []any{"5", 200}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := s.fetch(ctx)
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second || len(s.at) != 1 {
			t.Errorf("%v after %v and %d requests", err, time.Since(began), len(s.at))
		}
		if err != nil && !strings.Contains(err.Error(), "429") {
			t.Errorf("%v does not have the server's answer", err)
		}
	})
}

func TestBackoffGrows(t *testing.T) {
	const first = 100 * time.Millisecond
	defer httpsource.SetBackoff(httpsource.SetBackoff(first))
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []any{503, 503, 200}}
		resp, err := s.fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		for i, mean := range []time.Duration{first, 2 * first} {
			if d := s.at[i+1].Sub(s.at[i]); d < mean/2 || d > mean*3/2 {
				t.Errorf("wait %d took %v, want about %v", i, d, mean)
			}
		}
	})
}

// After a freeze, connections that were kept open may be dead.
func TestNewConnection(t *testing.T) {
	var from []string
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		from = append(from, r.RemoteAddr)
		fmt.Fprint(w, "hello")
	})
	for _, dial := range []bool{false, false, true, false} {
		if _, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{NewConnection: dial}); err != nil {
			t.Fatal(err)
		}
	}
	if from[0] != from[1] || from[1] == from[2] || from[2] == from[3] || from[1] == from[3] {
		t.Errorf("connections %v", from)
	}
}

// All ways to end an answer without a length, and their Responses.
func TestAnswersWithoutALengthSayHowTheyEnd(t *testing.T) {
	chunked := func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "hello")
		w.(http.Flusher).Flush()
	}
	cut := func(w http.ResponseWriter, r *http.Request) {
		chunked(w, r)
		panic(http.ErrAbortHandler)
	}
	untilClosed := func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			io.WriteString(conn, "HTTP/1.0 200 OK\r\n\r\nhello")
			conn.Close()
		}
	}
	// As Google Cloud Storage does with gzip-encoded objects.
	transcoded := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Goog-Hash", "crc32c=AAAAAA==")
		w.Header().Set("X-Goog-Stored-Content-Encoding", "gzip")
		w.Header().Set("ETag", tag)
		chunked(w, r)
	}
	for _, tt := range []struct {
		name   string
		h      http.HandlerFunc
		http2  bool
		framed bool
		cut    bool
	}{
		{"chunked", chunked, false, true, false},
		{"HTTP/2", chunked, true, true, false},
		{"chunked and cut", cut, false, true, true},
		{"HTTP/2, cut", cut, true, true, true},
		{"until the connection closes", untilClosed, false, false, false},
		{"transcoded", transcoded, true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.h)
			if tt.http2 {
				s = startSite(t, tt.h, startHTTP2)
			}
			resp, body, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{})
			if resp == nil || resp.Size != -1 || resp.Framed != tt.framed || resp.Checksums != nil {
				t.Errorf("%+v", resp)
			}
			if (err != nil) != tt.cut || body != "hello" {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

func TestMaxSizeOfABodyWithoutALength(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "hello")
	})
	for limit, ok := range map[int64]bool{4: false, 5: true} {
		s.MaxSize = limit
		_, body, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{})
		if (err == nil) != ok || ok && body != "hello" || !ok && !strings.Contains(err.Error(), "MaxSize") {
			t.Errorf("MaxSize %d: %q, %v", limit, body, err)
		}
	}
}

// A range can also be told from another one if the server does not know the object's
// size.
func TestRangesOfAnUnknownTotal(t *testing.T) {
	for header, ok := range map[string]bool{
		"bytes 2-3/*": true, "bytes 2-3/5": true, "bytes 2-2/5": false, "bytes 2-2/*": true, "bytes 1-2/*": false, "bytes 2-4/*": false, "bytes 3-2/*": false, "bytes */*": false, "*": false,
	} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", header)
			w.WriteHeader(http.StatusPartialContent)
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "ll")
		})
		resp, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{Offset: 2, Length: 2})
		if (err == nil) != ok || ok && resp.Size != -1 && resp.Size != 5 {
			t.Errorf("%s: %+v, %v", header, resp, err)
		}
	}
}

func TestEchoedSignatureStaysOutOfErrors(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		signature := r.URL.Query().Get("X-Amz-Signature")
		w.Header().Set("Content-Range", "bytes "+signature+"/5")
		w.Header().Set("Retry-After", signature)
		w.WriteHeader(http.StatusPartialContent)
	})
	for _, signature := range []string{"0123456789abcdef", "0123456789"} {
		for _, req := range []filecache.Request{{}, {Offset: 2, Length: 2}} {
			_, _, err := fetch(t, s.Object(s.url+"/a?X-Amz-Signature="+signature), req)
			if err == nil || strings.Contains(err.Error(), signature) {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestDeleteMarker(t *testing.T) {
	marker := "true"
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Delete-Marker", marker)
		w.WriteHeader(http.StatusMethodNotAllowed)
	})
	for _, tt := range []struct {
		path, marker string
		gone         bool
	}{{"/a?versionId=7", "true", true}, {"/a", "true", false}, {"/a?versionId=7", "", false}} {
		marker = tt.marker
		_, _, err := fetch(t, s.Object(s.url+tt.path), filecache.Request{})
		if err == nil || errors.Is(err, fs.ErrNotExist) != tt.gone {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
