// Package origintest reads objects from an HTTP origin that fails in all the ways that
// real ones do only now and then: it cuts, resets, stalls and lies. It is for the tests
// of packages that implement objects over HTTP.
package origintest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/minio/crc64nvme"
)

// Path is the path of a server's object.
const Path = "/models/k"

// A Server serves one object, and can misbehave.
type Server struct {
	URL string // without Path

	answering sync.RWMutex // read-locked while spoil runs

	mu       sync.Mutex
	body     []byte
	requests int // number of requests since spoil was set
	spoil    func(n int, r *http.Request, a *answer)
}

func newServer(t *testing.T) *Server {
	t.Helper()
	s := &Server{}
	var handlers sync.WaitGroup // the server does not wait for handlers that hijacked their connections
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		s.serve(w, r)
	}))
	s.URL = srv.URL
	t.Cleanup(func() { srv.Close(); handlers.Wait() })
	return s
}

// put sets the object's bytes.
func (s *Server) put(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = b
}

// present returns the object's bytes.
func (s *Server) present() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.body
}

// misbehave makes spoil change all answers from now on. n counts them from 1. A nil spoil
// ends this, also for requests that were abandoned.
func (s *Server) misbehave(spoil func(n int, r *http.Request, a *answer)) {
	s.answering.Lock()
	defer s.answering.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.spoil = 0, spoil
}

// An answer describes the bytes of a response and the end of its connection.
type answer struct {
	status int
	header http.Header
	body   []byte
	end    ending

	cut  int    // how many bytes to send in all; if negative, how many to omit
	wire []byte // sent instead of status, header and body
}

// ending is how a connection ends after an answer.
type ending int

const (
	closed ending = iota
	reset
	stalled // until the client closes it
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	a := s.answer(r)
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return // the client closed the connection
	}
	defer conn.Close()
	conn.Write(a.bytes())
	switch a.end {
	case reset:
		conn.(*net.TCPConn).SetLinger(0)
	case stalled:
		io.Copy(io.Discard, conn)
	}
}

func (s *Server) answer(r *http.Request) *answer {
	s.answering.RLock()
	defer s.answering.RUnlock()
	s.mu.Lock()
	s.requests++
	n, spoil, body := s.requests, s.spoil, s.body
	s.mu.Unlock()
	a := right(r, body)
	if spoil != nil {
		spoil(n, r, a)
	}
	return a
}

// right returns the answer of a correct origin.
func right(r *http.Request, body []byte) *answer {
	etag := etagOf(body)
	a := &answer{status: http.StatusOK, body: body, header: http.Header{
		"Etag":                     {etag},
		"Last-Modified":            {"Thu, 01 Jan 2026 00:00:00 GMT"},
		"X-Amz-Checksum-Crc64nvme": {sumOf("Crc64nvme", body)},
		"X-Amz-Checksum-Type":      {"FULL_OBJECT"},
	}}
	if m := r.Header.Get("If-Match"); m != "" && m != etag {
		*a = answer{status: http.StatusPreconditionFailed, header: http.Header{}}
		return a
	}
	if r.Header.Get("If-None-Match") == etag {
		*a = answer{status: http.StatusNotModified, header: http.Header{"Etag": {etag}}}
		return a
	}
	if from, to, ok := rangeOf(r, len(body)); ok {
		a.part(from, to, len(body))
	}
	return a
}

// part changes a into the answer to a range request for the bytes from to to-1.
func (a *answer) part(from, to, size int) {
	a.status, a.body = http.StatusPartialContent, a.body[from:to]
	a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, size))
	a.withoutSums()
}

func (a *answer) withoutSums() {
	for name := range a.header {
		if strings.HasPrefix(name, "X-Amz-Checksum-") {
			delete(a.header, name)
		}
	}
}

// rangeOf returns the range that r requests.
func rangeOf(r *http.Request, size int) (from, to int, ok bool) {
	first, last, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-")
	if !ok {
		return 0, 0, false
	}
	from, _ = strconv.Atoi(first)
	to = size
	if last != "" {
		n, _ := strconv.Atoi(last)
		to = min(size, n+1)
	}
	return from, to, from < to
}

func etagOf(body []byte) string { return fmt.Sprintf(`"%x"`, crc64nvme.Checksum(body)) }

// sumOf returns the checksum of b for the header called name.
func sumOf(name string, b []byte) string {
	var sum []byte
	switch name {
	case "Crc64nvme":
		sum = binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(b))
	case "Crc32":
		sum = binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
	case "Crc32c":
		sum = binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	case "Sha1":
		s := sha1.Sum(b)
		sum = s[:]
	case "Sha256":
		s := sha256.Sum256(b)
		sum = s[:]
	default:
		panic("no such checksum: " + name)
	}
	return base64.StdEncoding.EncodeToString(sum)
}

// bytes returns the bytes to send.
func (a *answer) bytes() []byte {
	b := a.wire
	if b == nil {
		b = a.encode()
	}
	switch {
	case a.cut > 0:
		return b[:min(a.cut, len(b))]
	case a.cut < 0:
		return b[:max(0, len(b)+a.cut)]
	}
	return b
}

func (a *answer) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	if a.header.Get("Content-Length") == "" && a.header.Get("Transfer-Encoding") == "" && a.status != http.StatusNotModified {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(a.body))
	}
	a.header.Write(&b)
	b.WriteString("Connection: close\r\n\r\n")
	b.Write(a.body)
	return b.Bytes()
}
