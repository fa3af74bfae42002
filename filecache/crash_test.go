package filecache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/childtest"
)

// With these variables, the test binary is a process that downloads until it is killed.
const (
	downloaderDir = "WARMCACHE_TEST_DOWNLOADER_DIR"
	downloaderURL = "WARMCACHE_TEST_DOWNLOADER_URL"
)

// downloadForever opens the object at url, and never returns.
func downloadForever(dir, url string) {
	c := Must(New(Options{Dir: dir, MaxAge: time.Hour}))
	if _, err := c.ReadFile(context.Background(), webObject(url)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// webObject is an object behind a plain URL.
type webObject string

func (w webObject) ID() (ID, error) { return ID{Origin: "web", Name: "object"}, nil }

func (w webObject) Fetch(ctx context.Context, req Request) (*Response, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", string(w), nil)
	if err != nil {
		return nil, err
	}
	if req.Length > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", req.Offset, req.Offset+req.Length-1))
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	size := resp.ContentLength
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", new(int64), new(int64), &size)
	case req.Length > 0:
		resp.Body.Close()
		return nil, errors.New("the server answers with the whole object")
	}
	return &Response{Body: resp.Body, Size: size, ETag: resp.Header.Get("ETag")}, nil
}

// A process is killed in the middle of a download and its directory is kept, as on a
// host after a time-out: the next process gets the right bytes.
func TestKilledInTheMiddleOfADownload(t *testing.T) {
	body := randomBytes(someSize, 1)
	for _, after := range []int{0, 1, 400, blocks.MinSize, someSize - 1} {
		t.Run(strconv.Itoa(after), func(t *testing.T) {
			reached := make(chan struct{})
			stall := true
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"v1"`)
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				if !stall {
					w.Write(body)
					return
				}
				w.Write(body[:after])
				w.(http.Flusher).Flush()
				close(reached)
				<-r.Context().Done()
			}))
			defer srv.Close()
			defer http.DefaultClient.CloseIdleConnections()

			dir := t.TempDir()
			cmd := childtest.Command()
			cmd.Env = append(os.Environ(), downloaderDir+"="+dir, downloaderURL+"="+srv.URL)
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-reached
			cmd.Process.Kill()
			cmd.Wait()

			stall = false
			c := newTest(t, Options{Dir: dir, MaxAge: time.Hour}, nil)
			o := newOrigin(0)
			o.put(body)
			f, err := c.Open(background, webObject(srv.URL))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if b, err := io.ReadAll(f); err != nil || string(b) != string(body) {
				t.Errorf("got %d bytes, %v", len(b), err)
			}
			if n := len(c.dataFiles()); n != 1 {
				t.Errorf("%d data files: the killed process left some", n)
			}
		})
	}
}

// The same, while several connections receive parts.
func TestKilledInTheMiddleOfAParallelDownload(t *testing.T) {
	body := randomBytes(4*defaultPartSize, 1)
	var stall atomic.Bool
	stall.Store(true)
	stalled := make(chan struct{}, 100)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if stall.Load() {
			w = &stallingWriter{ResponseWriter: w, left: defaultPartSize / 2, stall: func() {
				stalled <- struct{}{}
				<-r.Context().Done()
			}}
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()

	dir := t.TempDir()
	cmd := childtest.Command()
	cmd.Env = append(os.Environ(), downloaderDir+"="+dir, downloaderURL+"="+srv.URL)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 4 { // each part is half complete
		<-stalled
	}
	cmd.Process.Kill()
	cmd.Wait()

	stall.Store(false)
	c := newTest(t, Options{Dir: dir, MaxAge: time.Hour}, nil)
	if n := len(c.entryFiles()); n != 0 {
		t.Errorf("%d entries were left", n)
	}
	b, err := c.ReadFile(background, webObject(srv.URL))
	if err != nil || !bytes.Equal(b, body) {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
	if n := len(c.dataFiles()); n != 1 {
		t.Errorf("%d data files", n)
	}
}

// stallingWriter stalls after that many bytes of the body.
type stallingWriter struct {
	http.ResponseWriter
	left  int
	stall func()
}

func (w *stallingWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b[:min(len(b), w.left)])
	if w.left -= n; w.left == 0 {
		w.ResponseWriter.(http.Flusher).Flush()
		w.stall()
	}
	return n, err
}
