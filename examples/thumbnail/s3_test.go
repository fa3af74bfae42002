package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// fakeS3 implements GetObject and PutObject, path style and without ranges.
type fakeS3 struct {
	*httptest.Server

	mu       sync.Mutex
	objects  map[string]object // by "bucket/key"
	requests []string          // such as "GET 200"
	readOnly bool
}

type object struct {
	bytes []byte
	kind  string
}

func newFakeS3() *fakeS3 {
	s := &fakeS3{objects: map[string]object{}}
	s.Server = httptest.NewServer(s)
	return s
}

func (s *fakeS3) put(key string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects["/pictures/"+key] = object{b, "application/octet-stream"}
}

func (s *fakeS3) get(key string) object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects["/pictures/"+key]
}

// keys returns the keys with that prefix.
func (s *fakeS3) keys(prefix string) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path := range s.objects {
		if key := strings.TrimPrefix(path, "/pictures/"); strings.HasPrefix(key, prefix) {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	return found
}

// clear removes all objects. With readOnly, later uploads fail.
func (s *fakeS3) clear(readOnly bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.objects)
	s.requests, s.readOnly = nil, readOnly
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
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodPut && s.readOnly:
		s.refuse(w, r, http.StatusForbidden, "AccessDenied")
	case r.Method == http.MethodPut:
		s.note(r, http.StatusOK)
		s.objects[r.URL.Path] = object{b, r.Header.Get("Content-Type")}
	case !ok:
		s.refuse(w, r, http.StatusNotFound, "NoSuchKey")
	case r.Header.Get("Range") != "":
		s.refuse(w, r, http.StatusNotImplemented, "NotImplemented")
	default:
		s.note(r, http.StatusOK)
		crc := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(o.bytes))
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, crc))
		w.Header().Set("X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(crc))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(o.bytes))
	}
}

func (s *fakeS3) refuse(w http.ResponseWriter, r *http.Request, status int, code string) {
	s.note(r, status)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<Error><Code>%s</Code></Error>`, code)
}

func (s *fakeS3) note(r *http.Request, status int) {
	s.requests = append(s.requests, fmt.Sprint(r.Method, " ", status))
}
