// Package s3test is an S3 server for tests, in the process of the test. It
// implements GetObject and PutObject, path style, without checksums.
package s3test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/goleak"
)

// Server stores objects and records its requests.
type Server struct {
	*httptest.Server

	mu       sync.Mutex
	objects  map[string]object // by "/bucket/key"
	requests []string          // such as "GET 200"
}

type object struct {
	bytes []byte
	etag  string
}

// New starts a server on the loopback interface.
func New() *Server {
	s := &Server{objects: map[string]object{}}
	s.Server = httptest.NewServer(s)
	return s
}

// Env returns the environment of a program that uses the server, without the
// developer's own configuration.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"S3_PATH_STYLE":               "1",
		"AWS_ENDPOINT_URL_S3":         s.URL,
		"AWS_REGION":                  "eu-central-1",
		"AWS_ACCESS_KEY_ID":           "test",
		"AWS_SECRET_ACCESS_KEY":       "test",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_PROFILE":                 "",
		"AWS_CA_BUNDLE":               "",
	}
}

// Put puts an object at "/bucket/key".
func (s *Server) Put(path string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[path] = object{b, fmt.Sprintf(`"%08x"`, crc32.ChecksumIEEE(b))}
}

// Object returns the object at "/bucket/key", or nil.
func (s *Server) Object(path string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[path].bytes
}

// Asked returns the requests since the last call, such as "GET 200, PUT 200".
func (s *Server) Asked() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.requests, ", ")
	s.requests = nil
	return all
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	logged := &statusWriter{ResponseWriter: w, server: s, method: r.Method}
	if r.Method == http.MethodPut {
		s.store(logged, r)
		return
	}
	s.mu.Lock()
	o, ok := s.objects[r.URL.Path]
	s.mu.Unlock()
	if !ok {
		w.Header().Set("Content-Type", "application/xml")
		logged.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>`)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", o.etag)
	http.ServeContent(logged, r, "", time.Time{}, bytes.NewReader(o.bytes)) // handles ranges and conditions
}

func (s *Server) store(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.Put(r.URL.Path, b)
	w.WriteHeader(http.StatusOK)
}

// statusWriter records a request before the client can see the answer.
type statusWriter struct {
	http.ResponseWriter
	server *Server
	method string
}

func (w *statusWriter) WriteHeader(status int) {
	w.server.mu.Lock()
	w.server.requests = append(w.server.requests, fmt.Sprint(w.method, " ", status))
	w.server.mu.Unlock()
	w.ResponseWriter.WriteHeader(status)
}

// Main runs the tests of a package with the environment env and with the server
// that it passes to start. It does not return. It fails if tests leave goroutines
// behind.
func Main(m interface{ Run() int }, env map[string]string, start func(*Server)) {
	os.Exit(run(m, env, start))
}

func run(m interface{ Run() int }, env map[string]string, start func(*Server)) int {
	s := New()
	start(s)
	for _, vars := range []map[string]string{s.Env(), env} {
		for name, value := range vars {
			os.Setenv(name, value)
		}
	}
	code := m.Run()
	s.Close()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
