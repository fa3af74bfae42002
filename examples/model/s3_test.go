package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// fakeS3 speaks as much S3 as GetObject needs, path style, without checksums.
// http.ServeContent knows ranges and conditions.
type fakeS3 struct {
	*httptest.Server

	mu       sync.Mutex
	objects  map[string]object // by "/bucket/key"
	requests []string          // such as "GET 200"
}

type object struct {
	bytes []byte
	etag  string
}

func newFakeS3() *fakeS3 {
	s := &fakeS3{objects: map[string]object{}}
	s.Server = httptest.NewServer(s)
	return s
}

func (s *fakeS3) put(path string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[path] = object{b, fmt.Sprintf(`"%08x"`, crc32.ChecksumIEEE(b))}
}

// asked returns the requests since the last call.
func (s *fakeS3) asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.requests, ", ")
	s.requests = nil
	return all
}

func (s *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	o, ok := s.objects[r.URL.Path]
	s.mu.Unlock()
	logged := &statusWriter{ResponseWriter: w, server: s, method: r.Method}
	if !ok {
		w.Header().Set("Content-Type", "application/xml")
		logged.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>`)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", o.etag)
	http.ServeContent(logged, r, "", time.Time{}, bytes.NewReader(o.bytes))
}

// statusWriter notes a request before its answer can arrive.
type statusWriter struct {
	http.ResponseWriter
	server *fakeS3
	method string
}

func (w *statusWriter) WriteHeader(status int) {
	w.server.mu.Lock()
	w.server.requests = append(w.server.requests, fmt.Sprint(w.method, " ", status))
	w.server.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}
