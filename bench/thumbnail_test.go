package main

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/origin"
)

// The host kills the action during its upload and keeps /tmp, with the unfinished
// files. The next invocation removes them.
func TestLeftoversOfAKilledThumbnail(t *testing.T) {
	server := newS3(t, "pictures")
	if err := server.Put(t.Context(), "pictures", "images/blue/cat.png", drawn(t, 300, 200)); err != nil {
		t.Fatal(err)
	}
	wall := newWall(t, server)
	env := newEnvironment(t, host.Lambda{
		Binary:      buildExample(t, "thumbnail"),
		Env:         append(server.Env(wall.URL), "S3_PATH_STYLE=1", "THUMBNAIL_BUCKET=pictures"),
		Timeout:     10 * time.Minute,
		InitTimeout: 5 * time.Minute,
		Logs:        os.Stderr,
	})
	const event = `{"tenant":"blue","name":"cat.png","size":100}`

	wall.closed.Store(true)
	killed := make(chan host.Result)
	go func() {
		res, err := env.Invoke(context.Background(), []byte(event))
		if err != nil {
			t.Error(err)
		}
		killed <- res
	}()
	<-wall.arrived
	if left := scratches(t, env); len(left) != 1 {
		t.Errorf("the invocation works in %q", left)
	}
	env.Crash()
	if res := <-killed; res.FunctionError == nil || res.FunctionError.Type != host.ErrorExit {
		t.Fatalf("the invocation was not killed: %+v", res)
	}
	if left := scratches(t, env); len(left) != 1 {
		t.Errorf("the killed process left %q", left)
	}

	wall.closed.Store(false)
	var out struct{ Key string }
	if err := json.Unmarshal(invoke(t, env, event), &out); err != nil {
		t.Fatal(err)
	}
	if left := scratches(t, env); len(left) != 0 {
		t.Errorf("still there: %q", left)
	}
	if b := thumbnailSize(t, server, out.Key); b.Dx() != 100 || b.Dy() != 67 {
		t.Errorf("%s is %v", out.Key, b)
	}
	// The source stayed in the cache.
	if gets := wall.gets.Load(); gets != 1 {
		t.Errorf("the source was fetched %d times", gets)
	}
}

// wall is a proxy in front of a server. While it is closed, it holds uploads.
type wall struct {
	*httptest.Server
	closed  atomic.Bool
	arrived chan bool // receives when an upload is held
	gets    atomic.Int64
}

func newWall(t *testing.T, server *origin.S3) *wall {
	t.Helper()
	target, err := url.Parse(server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // the host is part of the signature
	}}
	w := &wall{arrived: make(chan bool)}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet:
			w.gets.Add(1)
		case http.MethodPut:
			if w.closed.Load() {
				io.Copy(io.Discard, r.Body) // the server notices the client's disconnect only after the body
				w.arrived <- true
				<-r.Context().Done()
				return
			}
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(w.Server.Close)
	return w
}

// scratches returns the directories that invocations use or have left.
func scratches(t *testing.T, env *host.Environment) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(env.Tmp(), "*", "s", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func drawn(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func thumbnailSize(t *testing.T, server *origin.S3, key string) image.Rectangle {
	t.Helper()
	bucket := "pictures"
	got, err := server.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	img, _, err := image.Decode(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return img.Bounds()
}
