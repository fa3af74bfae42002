package httpsource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
)

func TestMain(m *testing.M) {
	httpsource.SetBackoff(0)
	goleak.VerifyTestMain(m)
}

var background = context.Background()

const tag = `"v1"`

// site is a server with a client whose connections end with the test.
type site struct {
	httpsource.Source
	url string

	mu    sync.Mutex
	asked []*http.Request
}

func newSite(t *testing.T, h http.HandlerFunc) *site {
	t.Helper()
	return startSite(t, h, (*httptest.Server).Start)
}

func startSite(t *testing.T, h http.HandlerFunc, start func(*httptest.Server)) *site {
	t.Helper()
	s := &site{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r)
		s.mu.Unlock()
		h(w, r)
	}))
	start(srv)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	s.Client = srv.Client()
	return s
}

func startHTTP2(srv *httptest.Server) {
	srv.EnableHTTP2 = true
	srv.StartTLS()
}

// requests returns the requests since the last call.
func (s *site) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = nil }()
	return s.asked
}

// only returns the one request since the last call.
func (s *site) only(t *testing.T) *http.Request {
	t.Helper()
	r := s.requests()
	if len(r) != 1 {
		t.Fatalf("%d requests, want one", len(r))
	}
	return r[0]
}

// fetch calls Fetch, and reads and closes the body.
func fetch(t *testing.T, o filecache.Object, req filecache.Request) (*filecache.Response, string, error) {
	t.Helper()
	resp, err := o.Fetch(background, req)
	if err != nil {
		if resp != nil {
			t.Errorf("a response and an error: %+v, %v", resp, err)
		}
		return nil, "", err
	}
	if resp.NotModified {
		return resp, "", nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestFetchWhole(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		fmt.Fprint(w, "hello")
	})
	resp, body, err := fetch(t, s.Object(s.url+"/a%20b?x=1&X-Amz-Signature=s"), filecache.Request{})
	if err != nil || body != "hello" || resp.Size != 5 || resp.ETag != tag || resp.NotModified {
		t.Errorf("%+v, %q, %v", resp, body, err)
	}
	if want := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); !resp.LastModified.Equal(want) {
		t.Errorf("LastModified = %v", resp.LastModified)
	}
	r := s.only(t)
	if r.RequestURI != "/a%20b?x=1&X-Amz-Signature=s" {
		t.Errorf("the request was for %s", r.RequestURI)
	}
	if got := r.Header.Get("Accept-Encoding"); got != "identity" {
		t.Errorf("Accept-Encoding = %q: a compressed answer has another length and ETag", got)
	}
	for _, h := range []string{"If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since", "Range"} {
		if r.Header.Get(h) != "" {
			t.Errorf("%s was sent for the zero Request", h)
		}
	}
}

// ranges is a server that supports ranges and conditions.
func ranges(content, etag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}
}

func TestConditionsAndRanges(t *testing.T) {
	for _, tt := range []struct {
		name string
		req  filecache.Request
		want string
		err  error
	}{
		{"part", filecache.Request{Offset: 2, Length: 2, IfMatch: tag}, "ll", nil},
		{"front", filecache.Request{Length: 2}, "he", nil},
		{"rest", filecache.Request{Offset: 2, IfMatch: tag}, "llo", nil},
		{"part beyond the end", filecache.Request{Offset: 4, Length: 10}, "o", nil},
		{"another version", filecache.Request{Offset: 2, IfMatch: `"v0"`}, "", filecache.ErrChanged},
		{"not modified", filecache.Request{IfNoneMatch: tag}, "", nil},
		{"modified", filecache.Request{IfNoneMatch: `"v0"`}, "hello", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, ranges("hello", tag))
			resp, body, err := fetch(t, s.Object(s.url+"/a"), tt.req)
			if body != tt.want || !errors.Is(err, tt.err) || err != nil && tt.err == nil {
				t.Fatalf("%q, %v; want %q, %v", body, err, tt.want, tt.err)
			}
			if err == nil && resp.NotModified != (tt.want == "") {
				t.Errorf("%+v", resp)
			}
			if err == nil && !resp.NotModified && (resp.Size != 5 || resp.ETag != tag) {
				t.Errorf("%+v", resp)
			}
			if err != nil && errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v matches fs.ErrNotExist", err)
			}
			s.only(t)
		})
	}
}

// A wrong answer is an error.
func TestWrongAnswers(t *testing.T) {
	part := filecache.Request{Offset: 2, Length: 2}
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
			if status != http.StatusNotModified {
				fmt.Fprint(w, "ll")
			}
		}
	}
	for _, tt := range []struct {
		name string
		h    http.HandlerFunc
		req  filecache.Request
		want string
	}{
		{"whole for a part", answer(200), part, `"bytes=2-3"`},
		{"whole for the front", answer(200), filecache.Request{Length: 2}, `"bytes=0-1"`},
		{"part without a range", answer(206), part, `"bytes=2-3"`},
		{"another start", answer(206, "Content-Range", "bytes 1-2/5"), part, "bytes 1-2/5"},
		{"another end", answer(206, "Content-Range", "bytes 2-4/5"), part, "bytes 2-4/5"},
		{"another unit", answer(206, "Content-Range", "lines 2-3/5"), part, "not one of bytes"},
		{"no total", answer(206, "Content-Range", "bytes 2-3"), part, "bytes 2-3"},
		{"start beyond the total", answer(206, "Content-Range", "bytes 2-0/1"), part, "bytes 2-0/1"},
		{"wrong length", answer(206, "Content-Range", "bytes 2-4/5"), filecache.Request{Offset: 2}, "Content-Length"},
		{"part for the whole", answer(206, "Content-Range", "bytes 0-1/2"), filecache.Request{}, "bytes 0-1/2"},
		{"several parts", answer(206, "Content-Type", "multipart/byteranges; boundary=x"), part, `"bytes=2-3"`},
		{"other success", answer(203), filecache.Request{}, "203"},
		{"not modified, unasked", answer(304), filecache.Request{}, "304"},
		{"other version in spite of If-Match", answer(206, "Content-Range", "bytes 2-3/5", "ETag", `"v2"`),
			filecache.Request{Offset: 2, Length: 2, IfMatch: tag}, "changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, tt.h)
			_, _, err := fetch(t, s.Object(s.url+"/a"), tt.req)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Fetch = %v, want an error with %s", err, tt.want)
			}
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, filecache.ErrChanged) != (tt.want == "changed") {
				t.Errorf("Fetch = %v, which matches the wrong thing", err)
			}
		})
	}
}

func TestSizeIsUnknown(t *testing.T) {
	chunked := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hel")
		w.(http.Flusher).Flush()
	})
	unknown := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 2-3/*")
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "ll")
	})
	for _, tt := range []struct {
		s   *site
		req filecache.Request
	}{{chunked, filecache.Request{}}, {unknown, filecache.Request{Offset: 2, Length: 2}}} {
		resp, _, err := fetch(t, tt.s.Object(tt.s.url+"/a"), tt.req)
		if err != nil || resp.Size != -1 {
			t.Errorf("%+v, %v; want a Size of -1", resp, err)
		}
	}
	if b, err := newFiles(t).ReadFile(background, chunked.Object(chunked.url+"/a")); err != nil || string(b) != "hel" {
		t.Errorf("ReadFile = %q, %v", b, err)
	}
}

// spy records whether the body of an answer was read and closed.
type spy struct {
	rt           http.RoundTripper
	read, closed atomic.Int64
	opened       atomic.Int64
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.rt.RoundTrip(r)
	if err == nil {
		s.opened.Add(1)
		resp.Body = &spiedBody{resp.Body, s}
	}
	return resp, err
}

type spiedBody struct {
	io.ReadCloser
	s *spy
}

func (b *spiedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.s.read.Add(int64(n))
	return n, err
}

func (b *spiedBody) Close() error { b.s.closed.Add(1); return b.ReadCloser.Close() }

func TestMaxSize(t *testing.T) {
	s := newSite(t, ranges("hello", tag))
	sp := &spy{rt: s.Client.Transport}
	s.Client.Transport = sp
	s.MaxSize = 4
	for _, req := range []filecache.Request{{}, {Offset: 2, Length: 2}} {
		_, _, err := fetch(t, s.Object(s.url+"/a"), req)
		if err == nil || !strings.Contains(err.Error(), "5 bytes") || !strings.Contains(err.Error(), ": 4") {
			t.Errorf("Fetch = %v, want an error with size and limit", err)
		}
	}
	if sp.read.Load() != 0 || sp.closed.Load() != 2 {
		t.Errorf("%d bytes were read, %d bodies closed", sp.read.Load(), sp.closed.Load())
	}
	s.MaxSize = 5
	if _, body, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{}); err != nil || body != "hello" {
		t.Errorf("at the limit: %q, %v", body, err)
	}
	s.MaxSize = 0
	huge := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.FormatInt(10<<30+1, 10))
	})
	if _, _, err := fetch(t, huge.Object(huge.url+"/a"), filecache.Request{}); err == nil || !strings.Contains(err.Error(), "MaxSize") {
		t.Errorf("beyond the default: %v", err)
	}
}

func TestErrorsByStatus(t *testing.T) {
	const xml = "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>m</Message><Token-0>SESSIONTOKEN</Token-0></Error>"
	for _, tt := range []struct {
		status int
		body   string
		code   string
		is     error
	}{
		{404, fmt.Sprintf(xml, "NoSuchKey"), "NoSuchKey", fs.ErrNotExist},
		{404, "not found", "", fs.ErrNotExist},
		{404, fmt.Sprintf(xml, "NoSuchBucket"), "NoSuchBucket", nil},
		{404, fmt.Sprintf(xml, "ContainerNotFound"), "ContainerNotFound", nil},
		{410, "", "", fs.ErrNotExist},
		{412, "", "", filecache.ErrChanged},
		{403, fmt.Sprintf(xml, "AccessDenied"), "AccessDenied", nil}, // an expired signature gets the same
		{403, fmt.Sprintf(xml, "SESSIONTOKEN"), "", nil},
		{403, fmt.Sprintf(xml, "not <b> a code"), "", nil},
		{401, "", "", nil},
		{416, "", "", nil},
		{500, strings.Repeat("x", 1<<20), "", nil},
		{503, fmt.Sprintf(xml, "SlowDown"), "SlowDown", nil},
		{301, "", "", nil}, // without a Location
	} {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			sp := &spy{rt: s.Client.Transport}
			s.Client.Transport = sp
			_, _, err := fetch(t, s.Object(s.url+"/a?X-Amz-Security-Token=SESSIONTOKEN&X-Amz-Signature=s"), filecache.Request{})
			var se *httpsource.StatusError
			if !errors.As(err, &se) || se.StatusCode != tt.status || se.Code != tt.code {
				t.Fatalf("%v: %+v", err, se)
			}
			for _, target := range []error{fs.ErrNotExist, filecache.ErrChanged} {
				if errors.Is(err, target) != (target == tt.is) {
					t.Errorf("%v, matches %v: %v", err, target, errors.Is(err, target))
				}
			}
			if !strings.Contains(err.Error(), strconv.Itoa(tt.status)) || !strings.Contains(err.Error(), tt.code) ||
				strings.Contains(err.Error(), "SESSION") || len(err.Error()) > 200 {
				t.Errorf("%v", err)
			}
			attempts := int64(1)
			if tt.status >= 500 {
				attempts = 3
			}
			if sp.closed.Load() != attempts || sp.read.Load() > attempts*16<<10 {
				t.Errorf("%d bytes were read, closed %d times", sp.read.Load(), sp.closed.Load())
			}
			if want := attempts * min(int64(len(tt.body)), 8<<10); sp.read.Load() < want {
				t.Errorf("%d bytes were read, want %d: the connection is lost", sp.read.Load(), want)
			}
		})
	}
}

// A server's error text may repeat the URL.
func TestErrorBodiesAreNotShown(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no access to "+r.RequestURI, http.StatusForbidden)
	})
	_, _, err := fetch(t, s.Object(s.url+"/a?token=SECRET"), filecache.Request{})
	if err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("Fetch = %v", err)
	}
}

func TestWeakETag(t *testing.T) {
	s := newSite(t, ranges("hello", `W/"v1"`))
	o := s.Object(s.url + "/a")
	if resp, _, err := fetch(t, o, filecache.Request{}); err != nil || resp.ETag != `W/"v1"` {
		t.Errorf("%+v, %v", resp, err)
	}
	if resp, _, err := fetch(t, o, filecache.Request{IfNoneMatch: `W/"v1"`}); err != nil || !resp.NotModified {
		t.Errorf("%+v, %v", resp, err)
	}
	s.requests()
	for _, req := range []filecache.Request{{IfMatch: `W/"v1"`, Offset: 2}, {IfMatch: `W/"v1"`, Length: 2}} {
		if _, _, err := fetch(t, o, req); err == nil || errors.Is(err, filecache.ErrChanged) || !strings.Contains(err.Error(), "weak") {
			t.Errorf("%+v: %v", req, err)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestWhatIsNoETagIsNotUsed(t *testing.T) {
	for _, etag := range []string{`*`, `v1`, `"a", "b"`, `"`, ``, `w/"a"`, `Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT`, `"a`, "\"a\tb\""} {
		s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", etag)
			fmt.Fprint(w, "hello")
		})
		if resp, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{}); err != nil || resp.ETag != "" {
			t.Errorf("ETag: %s became %q, %v", etag, resp.ETag, err)
		}
	}
}

const (
	monday  = "Mon, 05 Jan 2026 10:00:00 GMT"
	tuesday = "Tue, 06 Jan 2026 10:00:00 GMT"
)

// dated is a server without ETags.
type dated struct {
	modified, date atomic.Value
	silent         bool // its 304 does not repeat Last-Modified
}

func newDated(modified, date string) *dated {
	d := &dated{}
	d.modified.Store(modified)
	d.date.Store(date)
	return d
}

func (d *dated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = []string{d.date.Load().(string)}
	if d.date.Load() == "" {
		w.Header()["Date"] = nil
	}
	m, err := http.ParseTime(d.modified.Load().(string))
	if err != nil {
		w.Header().Set("Last-Modified", d.modified.Load().(string))
	}
	if d.silent {
		w = silent{w}
	}
	http.ServeContent(w, r, "", m, strings.NewReader("hello"))
}

type silent struct{ http.ResponseWriter }

func (s silent) WriteHeader(status int) {
	if status == http.StatusNotModified {
		s.Header().Del("Last-Modified")
	}
	s.ResponseWriter.WriteHeader(status)
}

func TestLastModifiedStandsInForAnETag(t *testing.T) {
	d := newDated(monday, tuesday)
	s := newSite(t, d.ServeHTTP)
	o := s.Object(s.url + "/a")
	resp, _, err := fetch(t, o, filecache.Request{})
	if err != nil || resp.ETag == "" {
		t.Fatalf("%+v, %v", resp, err)
	}
	token := resp.ETag
	s.requests()

	if resp, _, err := fetch(t, o, filecache.Request{IfNoneMatch: token}); err != nil || !resp.NotModified {
		t.Errorf("%+v, %v", resp, err)
	}
	if r := s.only(t); r.Header.Get("If-Modified-Since") != monday || r.Header.Get("If-None-Match") != "" {
		t.Errorf("the request header was %v", r.Header)
	}
	if resp, body, err := fetch(t, o, filecache.Request{IfMatch: token, Offset: 2}); err != nil || body != "llo" || resp.ETag != token {
		t.Errorf("%+v, %q, %v", resp, body, err)
	}
	if r := s.only(t); r.Header.Get("If-Unmodified-Since") != monday || r.Header.Get("If-Match") != "" {
		t.Errorf("the request header was %v", r.Header)
	}

	d.modified.Store("Mon, 05 Jan 2026 10:00:01 GMT")
	if resp, body, err := fetch(t, o, filecache.Request{IfNoneMatch: token}); err != nil || body != "hello" || resp.ETag == token {
		t.Errorf("%+v, %q, %v", resp, body, err)
	}
	if _, _, err := fetch(t, o, filecache.Request{IfMatch: token, Offset: 2}); !errors.Is(err, filecache.ErrChanged) {
		t.Errorf("a range of another version: %v", err)
	}
}

// A server also sends 304 when it has reverted to an older object.
func TestRollBackIsNoticed(t *testing.T) {
	d := newDated(tuesday, "Wed, 07 Jan 2026 10:00:00 GMT")
	s := newSite(t, d.ServeHTTP)
	o := s.Object(s.url + "/a")
	resp, _, err := fetch(t, o, filecache.Request{})
	if err != nil {
		t.Fatal(err)
	}
	token := resp.ETag
	d.modified.Store(monday)
	for name, req := range map[string]filecache.Request{"If-None-Match": {IfNoneMatch: token}, "If-Match": {IfMatch: token, Offset: 2}} {
		resp, body, err := fetch(t, o, req)
		switch {
		case req.IfMatch != "" && !errors.Is(err, filecache.ErrChanged),
			req.IfMatch == "" && (err != nil || resp.NotModified || body != "hello" || resp.ETag == token):
			t.Errorf("%s: %+v, %q, %v", name, resp, body, err)
		}
	}
	// A 304 that does not identify the object is an error, too.
	d.modified.Store(tuesday)
	d.silent = true
	if resp, body, err := fetch(t, o, filecache.Request{IfNoneMatch: token}); err != nil || resp.NotModified || body != "hello" {
		t.Errorf("%+v, %q, %v", resp, body, err)
	}
}

// A server that sends 304 to every request must not cause a loop.
func TestStubborn304(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v2"`)
		w.WriteHeader(http.StatusNotModified)
	})
	resp, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{IfNoneMatch: tag})
	var se *httpsource.StatusError
	if !errors.As(err, &se) || se.StatusCode != 304 || len(s.requests()) != 2 {
		t.Errorf("%+v, %v", resp, err)
	}
}

func TestLastModifiedThatSaysTooLittle(t *testing.T) {
	for name, d := range map[string]*dated{
		"just now":      newDated(monday, "Mon, 05 Jan 2026 10:00:59 GMT"),
		"in the future": newDated(tuesday, monday),
		"no Date":       newDated(monday, ""),
		"no time":       newDated("yesterday", tuesday),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, d.ServeHTTP)
			if resp, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{}); err != nil || resp.ETag != "" {
				t.Errorf("%+v, %v", resp, err)
			}
		})
	}
	s := newSite(t, newDated(monday, "Mon, 05 Jan 2026 10:01:00 GMT").ServeHTTP)
	if resp, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{}); err != nil || resp.ETag == "" {
		t.Errorf("after a minute: %+v, %v", resp, err)
	}
}

const (
	hello32     = "NhCmhg=="                                     // CRC-32 of "hello"
	hello32c    = "mnG7TA=="                                     // CRC-32C
	hello64     = "M3eFcAZSQlc="                                 // CRC-64/NVME
	helloSHA1   = "qvTGHdzF6KLavt4PO0gs2a6pQ00="                 //
	helloSHA256 = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" //
)

func TestChecksums(t *testing.T) {
	type header = http.Header
	const (
		crc64, crc32, crc32c, sha1, sha256 = filecache.CRC64NVME, filecache.CRC32, filecache.CRC32C, filecache.SHA1, filecache.SHA256
	)
	goog := func(stored, encoding string) header {
		h := header{"X-Goog-Hash": {"md5=XUFAKrxLKna5cZ2REBfFkg==,crc32c=" + hello32c}, "X-Goog-Stored-Content-Encoding": {stored}}
		if encoding != "" {
			h.Set("Content-Encoding", encoding)
		}
		return h
	}
	for name, tt := range map[string]struct {
		header header
		want   []filecache.Algorithm
	}{
		"S3": {header{"X-Amz-Checksum-Crc64nvme": {hello64}, "X-Amz-Checksum-Crc32": {hello32}, "X-Amz-Checksum-Crc32c": {hello32c},
			"X-Amz-Checksum-Sha256": {helloSHA256}, "X-Amz-Checksum-Sha1": {helloSHA1}, "X-Amz-Checksum-Type": {"FULL_OBJECT"}},
			[]filecache.Algorithm{crc64, crc32, crc32c, sha256, sha1}},
		"S3, composite by type":  {header{"X-Amz-Checksum-Crc32": {hello32}, "X-Amz-Checksum-Type": {"COMPOSITE"}}, nil},
		"S3, composite by value": {header{"X-Amz-Checksum-Crc32": {hello32 + "-3"}}, nil},
		"S3, wrong length":       {header{"X-Amz-Checksum-Crc32": {hello64}}, nil},
		"Google":                 {goog("identity", ""), []filecache.Algorithm{crc32c}},
		"Google, two lines": {header{"X-Goog-Hash": {"md5=XUFAKrxLKna5cZ2REBfFkg==", "crc32c=" + hello32c},
			"X-Goog-Stored-Content-Encoding": {"identity"}}, []filecache.Algorithm{crc32c}},
		"Google, decoded on the way": {goog("gzip", ""), nil},
		"Google, encoded on the way": {goog("identity", "gzip"), nil},
		"Repr-Digest": {header{"Repr-Digest": {"md5=:XUFAKrxLKna5cZ2REBfFkg==:, sha-256=:" + helloSHA256 + ":;p=1"}},
			[]filecache.Algorithm{sha256}},
		"Content-Digest":          {header{"Content-Digest": {"sha-256=:" + helloSHA256 + ":"}}, []filecache.Algorithm{sha256}},
		"Digest":                  {header{"Digest": {"SHA-256=" + helloSHA256 + ",unixsum=30637"}}, []filecache.Algorithm{sha256}},
		"the same twice":          {header{"Repr-Digest": {"sha-256=:" + helloSHA256 + ":"}, "Digest": {"sha-256=" + helloSHA256}}, []filecache.Algorithm{sha256}},
		"Repr-Digest, not quoted": {header{"Repr-Digest": {"sha-256=" + helloSHA256}}, nil},
		"Repr-Digest, empty":      {header{"Repr-Digest": {"sha-256=:"}}, nil},
		"only MD5":                {header{"Content-Md5": {"XUFAKrxLKna5cZ2REBfFkg=="}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range tt.header {
					w.Header()[k] = v
				}
				ranges("hello", tag)(w, r)
			})
			o := s.Object(s.url + "/a")
			resp, _, err := fetch(t, o, filecache.Request{})
			if err != nil {
				t.Fatal(err)
			}
			var got []filecache.Algorithm
			for _, c := range resp.Checksums {
				got = append(got, c.Algorithm)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
			// The other checksums match, too.
			if b, err := newFiles(t).ReadFile(background, o); err != nil || string(b) != "hello" {
				t.Errorf("ReadFile = %q, %v", b, err)
			}
			if resp, _, err := fetch(t, o, filecache.Request{Offset: 1}); err != nil || resp.Checksums != nil {
				t.Errorf("of a part: %+v, %v", resp, err)
			}
		})
	}
}

// A redirect usually leads to a presigned URL at another host.
func TestRedirects(t *testing.T) {
	other := newSite(t, ranges("hello", tag))
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err == nil && n > 1 {
			http.Redirect(w, r, fmt.Sprintf("/%d?sig=SECRET", n-1), http.StatusFound)
			return
		}
		http.Redirect(w, r, other.url+"/b?sig=OTHERSECRET", http.StatusTemporaryRedirect)
	})
	withUser := strings.Replace(s.url, "//", "//alice:PASSWORD@", 1)

	resp, body, err := fetch(t, s.Object(withUser+"/2?sig=SECRET"), filecache.Request{Offset: 1, Length: 2, IfMatch: tag})
	if err != nil || body != "el" || resp.Size != 5 {
		t.Fatalf("%+v, %q, %v", resp, body, err)
	}
	for _, r := range s.requests() {
		if user, password, _ := r.BasicAuth(); user != "alice" || password != "PASSWORD" {
			t.Errorf("%s without the user of the URL", r.URL.Path)
		}
	}
	r := other.only(t)
	if r.Header.Get("Range") != "bytes=1-2" || r.Header.Get("If-Match") != tag || r.Header.Get("Accept-Encoding") != "identity" {
		t.Errorf("the request is not the same after the redirect: %v", r.Header)
	}
	if r.Header.Get("Authorization") != "" || r.Header.Get("Referer") != "" {
		t.Errorf("another host got a header not meant for it: %v", r.Header)
	}

	if _, _, err := fetch(t, s.Object(s.url+"/10"), filecache.Request{}); err != nil {
		t.Errorf("ten redirects: %v", err)
	}
	if _, _, err := fetch(t, s.Object(s.url+"/11"), filecache.Request{}); err == nil || !strings.Contains(err.Error(), "10 redirects") || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("eleven redirects: %v", err)
	}
}

func TestRedirectsThatAreRefused(t *testing.T) {
	plain := newSite(t, ranges("hello", tag))
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("local"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, location := range map[string]string{
		"to http":      plain.url + "/b?sig=SECRET",
		"to a file":    "file://" + filepath.ToSlash(file) + "?sig=SECRET",
		"to nonsense":  `https://bob:SECRET@h/%zz?sig="SECRET SECRET`,
		"to a bad one": "/%zz?sig=SECRET",
	} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", location)
				w.WriteHeader(http.StatusFound)
			}, (*httptest.Server).StartTLS)
			s.Client.Transport.(*http.Transport).RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
			_, body, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{})
			if err == nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%q, %v", body, err)
			}
			if n := len(plain.requests()); n != 0 {
				t.Errorf("%d requests without TLS", n)
			}
		})
	}
	// A redirect from http to a file URL is refused, too.
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "file://"+filepath.ToSlash(file))
		w.WriteHeader(http.StatusFound)
	})
	s.Client.Transport.(*http.Transport).RegisterProtocol("file", http.NewFileTransport(http.Dir("/")))
	if _, body, err := fetch(t, s.Object(s.url), filecache.Request{}); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%q, %v", body, err)
	}
}

// The client's own rules apply as well.
func TestClientsOwnRedirectRules(t *testing.T) {
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/b", http.StatusFound) })
	errMine := errors.New("mine")
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return errMine }
	if _, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{}); !errors.Is(err, errMine) {
		t.Errorf("%v", err)
	}
	s.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, _, err := fetch(t, s.Object(s.url+"/a"), filecache.Request{})
	if se, ok := errors.AsType[*httpsource.StatusError](err); !ok || se.StatusCode != http.StatusFound {
		t.Errorf("%v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A local failure is not an answer of the server.
func TestLocalErrorsAreNotTheServers(t *testing.T) {
	_, noFile := os.Open(filepath.Join(t.TempDir(), "cert.pem"))
	for _, cause := range []error{noFile, fs.ErrNotExist, filecache.ErrChanged, fmt.Errorf("tls: %w", noFile)} {
		s := httpsource.Source{Client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, cause })}}
		_, _, err := fetch(t, s.Object("https://h/a"), filecache.Request{})
		if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, filecache.ErrChanged) {
			t.Errorf("%v counts as an answer", err)
		}
	}
	// The error of a real socket that does not exist.
	socket := filepath.Join(t.TempDir(), "no.sock")
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	_, _, err := fetch(t, httpsource.Source{Client: &http.Client{Transport: tr}}.Object("http://h/a?sig=SECRET"), filecache.Request{})
	if _, ok := errors.AsType[*net.OpError](err); !ok || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("%v", err)
	}
}

func TestErrorsKeepTheirCauses(t *testing.T) {
	release := make(chan struct{})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	defer close(release)
	o := s.Object(s.url + "/a?X-Amz-Signature=SECRET")

	ctx, cancel := context.WithCancel(background)
	cancel()
	if _, err := o.Fetch(ctx, filecache.Request{}); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithTimeout(background, 10*time.Millisecond)
	defer cancel()
	if _, err := o.Fetch(ctx, filecache.Request{}); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("too late: %v", err)
	}
	s.Client.Timeout = 10 * time.Millisecond
	_, err := o.Fetch(background, filecache.Request{})
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("the client's time-out: %v", err)
	}
}

func TestErrorsOfOthersAreScrubbed(t *testing.T) {
	for _, cause := range []error{
		&url.Error{Op: "Post", URL: "https://login/?token=SECRET", Err: &url.Error{Op: "Get", URL: "https://x/?s=SECRET", Err: errors.New("no")}},
		fmt.Errorf("signing: %w", &url.Error{Op: "Get", URL: "https://login/?token=SECRET", Err: errors.New("no")}),
		errors.New("proxy http://me:SECRET@proxy:3128 refused"),
		errors.New(`cannot get "https://h/?a=\"SECRET&b=SECRET" today`),
		errors.New("bad signature OWN/SIG+NATURE="),
		errors.New("bad signature OWN%2FSIG%2BNATURE%3D"),
		errors.New("user alice@home, password PASS:WORD, token BARETOKEN"),
	} {
		s := httpsource.Source{Client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, cause })}}
		_, _, err := fetch(t, s.Object("https://alice%40home:PASS%3AWORD@h/a?sig=OWN%2FSIG%2BNATURE%3D&BARETOKEN"), filecache.Request{})
		for _, secret := range []string{"SECRET", "OWN", "NATURE", "PASS", "alice", "BARE"} {
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("%v from %v", err, cause)
			}
		}
	}
}

// hook makes rt the transport of clients that have none.
func hook(t *testing.T, rt http.RoundTripper) {
	old := http.DefaultTransport
	http.DefaultTransport = rt
	t.Cleanup(func() { http.DefaultTransport = old })
}

func TestWithoutAClientTheHeaderHasATimeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		began := time.Now()
		_, _, err := fetch(t, httpsource.Source{}.Object("https://h/a?sig=SECRET"), filecache.Request{})
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%v", err)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v looks as if the caller's time were up", err)
		}
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("after %v", d)
		}
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		if _, err := (httpsource.Source{}).Object("https://h/a").Fetch(ctx, filecache.Request{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's own time: %v", err)
		}
	})
}

func TestWithoutAClientTheBodyHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ctx context.Context
		hook(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			ctx = r.Context()
			return &http.Response{StatusCode: 200, ContentLength: 5, Body: io.NopCloser(strings.NewReader("hello")), Request: r}, nil
		}))
		resp, err := httpsource.Source{}.Object("https://h/a").Fetch(background, filecache.Request{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("the body's context ended")
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		resp.Body.Close()
		if ctx.Err() == nil {
			t.Error("the request's context was not released")
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	s := newSite(t, ranges("hello", tag))
	o := s.Object(s.url + "/a?X-Amz-Signature=s")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, body, err := fetch(t, o, filecache.Request{Offset: int64(i % 3)}); err != nil || body != "hello"[i%3:] {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
	wg.Wait()
}

func newFiles(t *testing.T) *filecache.Cache {
	return filecache.Must(filecache.New(filecache.Options{Dir: t.TempDir()}))
}

func TestThroughACache(t *testing.T) {
	s := newSite(t, ranges("hello", tag))
	files := newFiles(t)
	for i := range 3 {
		// Renewed each time, as in a function that signs for each request.
		u := fmt.Sprintf("%s/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=2026010%d&X-Amz-Signature=SECRET%d", s.url, i, i)
		b, err := files.ReadFile(background, s.Object(u))
		if err != nil || string(b) != "hello" {
			t.Errorf("ReadFile = %q, %v", b, err)
		}
	}
	if st := files.Stats(); st.Misses != 1 || st.Revalidated != 2 || len(s.requests()) != 3 {
		t.Errorf("Stats = %+v", st)
	}
	// A version is never requested again.
	for range 2 {
		if _, err := files.ReadFile(background, s.Object(s.url+"/a?versionId=7")); err != nil {
			t.Error(err)
		}
	}
	s.only(t)
}

func TestWhatHoldsACopyAndWhatDropsIt(t *testing.T) {
	var status atomic.Int64
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if st := int(status.Load()); st != 0 {
			w.WriteHeader(st)
			return
		}
		ranges("hello", tag)(w, r)
	})
	files, o := newFiles(t), s.Object(s.url+"/a?X-Amz-Signature=SECRET")
	read := func(st int) error {
		status.Store(int64(st))
		_, err := files.ReadFile(background, o)
		return err
	}
	if err := read(0); err != nil {
		t.Fatal(err)
	}
	for _, st := range []int{403, 500} {
		if err := read(st); err == nil || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%d: %v", st, err)
		}
	}
	if err := read(0); err != nil || files.Stats().Misses != 1 {
		t.Errorf("%v, %+v", err, files.Stats())
	}
	if err := read(404); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("404: %v", err)
	}
	if err := read(0); err != nil || files.Stats().Misses != 2 {
		t.Errorf("%v, %+v", err, files.Stats())
	}
}

func TestCutBodyIsResumed(t *testing.T) {
	content := string(bytes.Repeat([]byte("0123456789"), 100_000))
	for name, date := range map[string]string{"by ETag": "", "by Last-Modified": tuesday} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
				if date != "" {
					w.Header().Set("Date", date)
				} else {
					w.Header().Set("ETag", tag)
				}
				modified, _ := http.ParseTime(monday)
				if n.Add(1) == 1 {
					w.Header().Set("Last-Modified", monday)
					w.Header().Set("Content-Length", strconv.Itoa(len(content)))
					io.WriteString(w, content[:len(content)/2])
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
				http.ServeContent(w, r, "", modified, strings.NewReader(content))
			})
			b, err := newFiles(t).ReadFile(background, s.Object(s.url+"/a"))
			if err != nil || string(b) != content {
				t.Fatalf("%d bytes, %v", len(b), err)
			}
			asked := s.requests()
			if len(asked) != 2 {
				t.Fatalf("%d requests", len(asked))
			}
			h := asked[1].Header
			if !strings.HasPrefix(h.Get("Range"), "bytes=") || h.Get("If-Match") == "" && h.Get("If-Unmodified-Since") == "" {
				t.Errorf("resumed with %v", h)
			}
		})
	}
}

// No secret of a URL reaches the disk.
func TestSecretsStayOffTheDisk(t *testing.T) {
	s := newSite(t, ranges("hello", tag))
	dir := t.TempDir()
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Hour}))
	u := strings.Replace(s.url, "//", "//USERNAME:PASSWORD@", 1) + "/a?token=UNKNOWNTOKEN&X-Amz-Signature=SIGNATURE"
	for _, o := range []filecache.Object{s.Object(u), s.Named("mine", u)} {
		if _, err := files.ReadFile(background, o); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, secret := range []string{"USERNAME", "PASSWORD", "UNKNOWNTOKEN", "SIGNATURE"} {
			if bytes.Contains(b, []byte(secret)) || strings.Contains(path, secret) {
				t.Errorf("%s is in %s", secret, path)
			}
		}
		n++
		return err
	})
	if err != nil || n < 2 {
		t.Errorf("%d files, %v", n, err)
	}
}
