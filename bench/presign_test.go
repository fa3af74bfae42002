package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/origin"
)

// An object larger than an event bypasses the function: a PUT and a form upload it
// to a real server, and a cached URL downloads it.
func TestPresignedURLs(t *testing.T) {
	needsUnix(t)
	for host, p := range newPresigns(t) {
		t.Run(host, func(t *testing.T) { testPresignedURLs(t, p) })
	}
}

func testPresignedURLs(t *testing.T, p presign) {
	file := origin.Object(7<<20, 1) // events are limited to 6 MB on Lambda and 1 MB on OpenWhisk
	put := p.ask(t, `{"tenant":"blue","user":"ann","do":"put","name":"a/put.tiff","size":7340032}`)
	send(t, http.StatusOK, put.request(t, file))
	post := p.ask(t, `{"tenant":"blue","user":"ann","do":"post","name":"a/post.tiff","size":7340032}`)
	send(t, http.StatusNoContent, post.form(t, file))
	for _, name := range []string{"put", "post"} {
		event := `{"tenant":"blue","user":"ann","do":"get","name":"a/` + name + `.tiff"}`
		first, second := p.ask(t, event), p.ask(t, event)
		if first.URL != second.URL {
			t.Error("the URL did not come from the cache")
		}
		for _, get := range []presigned{first, second} {
			if got := send(t, http.StatusOK, get.request(t, nil)); !bytes.Equal(got, file) {
				t.Errorf("%s: got %d bytes that differ", name, len(got))
			}
		}
	}
}

// The server rejects every request that differs from the signed one.
func TestPresignedURLsAreGoodForNothingElse(t *testing.T) {
	needsUnix(t)
	p := newPresigns(t)["lambda"]
	put := p.ask(t, `{"tenant":"blue","user":"ann","do":"put","name":"a","size":1000}`)
	send(t, http.StatusForbidden, put.request(t, make([]byte, 1001)))
	send(t, http.StatusOK, put.request(t, make([]byte, 1000)))

	get := p.ask(t, `{"tenant":"blue","user":"ann","do":"get","name":"a"}`)
	send(t, http.StatusOK, get.request(t, nil))
	for _, change := range [][2]string{{"/ann/", "/bob/"}, {"/blue/", "/green/"}, {"X-Amz-Expires=900", "X-Amz-Expires=901"}} {
		other := get
		if other.URL = strings.Replace(get.URL, change[0], change[1], 1); other.URL == get.URL {
			t.Fatalf("no %s in %s", change[0], get.URL)
		}
		send(t, http.StatusForbidden, other.request(t, nil))
	}
	get.Method = http.MethodDelete
	send(t, http.StatusForbidden, get.request(t, nil))

	post := p.ask(t, `{"tenant":"blue","user":"ann","do":"post","name":"b","size":1000}`)
	send(t, http.StatusBadRequest, post.form(t, make([]byte, 1001)))
	send(t, http.StatusNoContent, post.form(t, make([]byte, 1000)))
	post.Fields["key"] = "blue/bob/b"
	send(t, http.StatusForbidden, post.form(t, make([]byte, 1000)))
}

// presign is the action in a container.
type presign struct{ host.Sandbox }

// newPresigns starts the action on both hosts.
func newPresigns(t *testing.T) map[string]presign {
	t.Helper()
	s3 := newS3(t, "files")
	s := subject{
		binary: buildExample(t, "presign"),
		env:    append(s3.Env(s3.Endpoint()), "S3_PATH_STYLE=1", "PRESIGN_BUCKET=files"),
	}
	both := map[string]presign{}
	for name, sandbox := range s.sandboxes(t) {
		both[name] = presign{sandbox}
	}
	return both
}

// presigned is the action's answer.
type presigned struct {
	Method, URL     string
	Headers, Fields map[string]string
}

func (p presign) ask(t *testing.T, event string) (out presigned) {
	t.Helper()
	if err := json.Unmarshal(invoke(t, p, event), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// request makes the request of the answer, with that body.
func (p presigned) request(t *testing.T, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), p.Method, p.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range p.Headers {
		r.Header.Set(name, value)
	}
	return r
}

// form encodes a browser's form: the fields, followed by the file.
func (p presigned) form(t *testing.T, file []byte) *http.Request {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range p.Fields {
		form.WriteField(name, value)
	}
	part, _ := form.CreateFormFile("file", "scan.tiff")
	part.Write(file)
	form.Close()
	r := p.request(t, body.Bytes())
	r.Header.Set("Content-Type", form.FormDataContentType())
	return r
}

// send checks the status and returns the body.
func send(t *testing.T, want int, r *http.Request) []byte {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	res, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Errorf("%s %s: %s, %v, want %d\n%.500s", r.Method, r.URL, res.Status, err, want, b)
	}
	return b
}

// newS3 starts a server with a bucket.
func newS3(t *testing.T, bucket string) *origin.S3 {
	t.Helper()
	s3, err := origin.StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s3.Close() })
	if err := s3.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	return s3
}

func newEnvironment(t *testing.T, l host.Lambda) *host.Environment {
	t.Helper()
	env, err := l.Environment()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { env.Close() })
	return env
}

// invoke returns the answer to an event and fails the test on an error.
func invoke(t *testing.T, s host.Sandbox, event string) []byte {
	t.Helper()
	res, err := s.Invoke(context.Background(), []byte(event))
	if err == nil && res.FunctionError != nil {
		err = res.FunctionError
	}
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", event, err))
	}
	return res.Payload
}
