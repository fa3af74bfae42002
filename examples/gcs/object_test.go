package gcs_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"

	"github.com/warmcache/warmcache/examples/gcs"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/objecttest"
)

// service has one object and implements the part of Cloud Storage's JSON API that
// reads it. (fake-gcs-server ignores conditions on reads.)
type service struct {
	mu         sync.Mutex
	content    []byte
	generation int
	refuses    bool
	gzipped    bool // stored with Content-Encoding: gzip and sent decompressed
	cut, stall int
	requests   int
	limit      int // refuses requests after that many; zero means no limit
}

func newService() *service {
	return &service{content: bytes.Repeat([]byte("lamp 1999, "), 50_000), generation: 1, cut: -1, stall: -1}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	s.refuses = s.refuses || s.limit > 0 && s.requests > s.limit
	generation, content, refuses, gzipped, cut, stall := s.generation, s.content, s.refuses, s.gzipped, s.cut, s.stall
	s.mu.Unlock()
	etag := strconv.Itoa(generation)
	match, noneMatch := r.FormValue("ifGenerationMatch"), r.FormValue("ifGenerationNotMatch")
	switch {
	case refuses:
		w.WriteHeader(http.StatusForbidden)
		return
	case content == nil || r.URL.Path != "/storage/v1/b/models/o/prices-eu.bin":
		w.WriteHeader(http.StatusNotFound)
		return
	case match != "" && match != etag:
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	case noneMatch == etag:
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h := w.Header()
	h.Set("X-Goog-Generation", etag)
	h.Set("X-Goog-Stored-Content-Encoding", "identity")
	h.Set("X-Goog-Hash", "crc32c="+base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli)))))
	if gzipped {
		serveDecompressed(w, content)
		return
	}
	if cut >= 0 || stall >= 0 {
		h.Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:max(cut, stall)])
		w.(http.Flusher).Flush()
		if stall >= 0 {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// serveDecompressed simulates decompressive transcoding: the checksum is that of
// the compressed bytes, there is no length, and ranges are ignored.
func serveDecompressed(w http.ResponseWriter, content []byte) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(content)
	z.Close()
	h := w.Header()
	h.Set("X-Goog-Stored-Content-Encoding", "gzip")
	h.Set("X-Goog-Hash", "crc32c="+base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(packed.Bytes(), crc32.MakeTable(crc32.Castagnoli)))))
	h.Set("Warning", `214 UploadServer gunzipped`)
	w.(http.Flusher).Flush()
	w.Write(content)
}

func (s *service) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *service) origin() objecttest.Origin {
	return objecttest.Origin{
		Content: s.content,
		Replace: func(content []byte) error { s.set(func() { s.content = content; s.generation++ }); return nil },
		Remove:  func() error { s.set(func() { s.content = nil }); return nil },
		Refuse:  func(refuse bool) { s.set(func() { s.refuses = refuse }) },
		Cut:     func(after int) { s.set(func() { s.cut = after }) },
		Stall:   func(after int) { s.set(func() { s.stall = after }) },
	}
}

// open returns the bucket of the service. It closes the client at the end of the
// test.
func (s *service) open(t testing.TB, wrap func(http.RoundTripper) http.RoundTripper) gcs.Bucket {
	t.Helper()
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	client, err := storage.NewClient(context.Background(), option.WithEndpoint(srv.URL+"/storage/v1/"), option.WithoutAuthentication(),
		option.WithHTTPClient(&http.Client{Transport: wrap(srv.Client().Transport)}), storage.WithJSONReads())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return gcs.Bucket{Handle: client.Bucket("models")}
}

func once(rt http.RoundTripper) http.RoundTripper { return gcs.Transport{RoundTripper: rt} }

func TestObject(t *testing.T) {
	s := newService()
	if err := objecttest.TestObject(t.Context(), s.open(t, once).Object("prices-eu.bin"), s.origin()); err != nil {
		t.Error(err)
	}
}

// With RetryNever alone the client would still fetch the rest of an interrupted
// body. The Transport prevents that.
func TestTransportEndsResumes(t *testing.T) {
	for name, wrap := range map[string]func(http.RoundTripper) http.RoundTripper{
		"with it": once, "without it": func(rt http.RoundTripper) http.RoundTripper { return rt },
	} {
		t.Run(name, func(t *testing.T) {
			s := newService()
			s.cut = len(s.content) / 2
			s.limit = 5
			resp, err := s.open(t, wrap).Object("prices-eu.bin").Fetch(t.Context(), filecache.Request{})
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if resumed := s.requests > 1; err == nil || resumed != (name == "without it") {
				t.Errorf("%d bytes in %d requests, %v", len(b), s.requests, err)
			}
		})
	}
}

// An object that is stored compressed arrives decompressed and in one piece.
func TestDecompressedObject(t *testing.T) {
	s := newService()
	s.gzipped = true
	object := s.open(t, once).Object("prices-eu.bin")
	resp, err := object.Fetch(t.Context(), filecache.Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(b, s.content) || resp.Size != -1 || !resp.Framed || resp.Checksums != nil {
		t.Errorf("%d bytes, %v, %+v", len(b), err, resp)
	}
	if _, err := object.Fetch(t.Context(), filecache.Request{Offset: 2, Length: 2}); err == nil || !strings.Contains(err.Error(), "range") {
		t.Errorf("a range of a decompressed object = %v", err)
	}
}

// A missing credentials file is not a missing object.
func TestMissingCredentials(t *testing.T) {
	s := newService()
	object := s.open(t, func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(*http.Request) (*http.Response, error) {
			_, err := os.ReadFile("no-credentials.json")
			return nil, err
		})
	}).Object("prices-eu.bin")
	if _, err := object.Fetch(t.Context(), filecache.Request{}); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func Example() {
	s := newService()
	server := httptest.NewServer(s)
	defer server.Close()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	// In a function, the HTTP client uses Google's credentials, as the package
	// comment shows, and no endpoint is set.
	ctx := context.Background()
	client, err := storage.NewClient(ctx, option.WithEndpoint(server.URL+"/storage/v1/"), option.WithoutAuthentication(),
		option.WithHTTPClient(&http.Client{Transport: gcs.Transport{RoundTripper: server.Client().Transport}}), storage.WithJSONReads())
	if err != nil {
		panic(err)
	}
	defer client.Close()
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	models := gcs.Bucket{Handle: client.Bucket("models")}

	for range 2 { // two invocations of one container
		f, err := files.Open(ctx, models.Object("prices-eu.bin"))
		if err != nil {
			fmt.Println(err)
			return
		}
		price := make([]byte, 9)
		io.ReadFull(f, price)
		f.Close()
		fmt.Printf("%s, %d requests\n", price, s.requests)
	}
	fmt.Println("revalidated:", files.Stats().Revalidated)
	// Output:
	// lamp 1999, 1 requests
	// lamp 1999, 2 requests
	// revalidated: 1
}
