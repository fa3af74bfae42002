package httpsource_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
)

// A function gets a presigned URL with every event. URLs that differ only in the
// signature are one object, which is fetched once.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("GET", r.URL.Path)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("prices"))
	}))
	defer server.Close()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)

	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: 5 * time.Minute}))
	source := httpsource.Source{Client: server.Client()}

	handle := func(ctx context.Context, url string) error {
		b, err := files.ReadFile(ctx, source.Object(url))
		if err != nil {
			return err
		}
		fmt.Printf("%s\n", b)
		return nil
	}
	for _, signature := range []string{"9f2c", "71bd"} {
		if err := handle(context.Background(), server.URL+"/eu.bin?X-Amz-Signature="+signature); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// GET /eu.bin
	// prices
	// prices
}

// The path of the URL has a token that changes, so the object needs a name of its own.
func ExampleSource_Named() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("GET", r.URL.Path)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("prices"))
	}))
	defer server.Close()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: 5 * time.Minute}))
	source := httpsource.Source{Client: server.Client()}

	for _, token := range []string{"9f2c", "71bd"} {
		prices := source.Named("supplier-7/eu.bin", server.URL+"/"+token+"/eu.bin")
		b, err := files.ReadFile(context.Background(), prices)
		fmt.Printf("%s %v\n", b, err)
	}
	// Output:
	// GET /9f2c/eu.bin
	// prices <nil>
	// prices <nil>
}

// The status distinguishes an expired signature from a missing object.
func ExampleStatusError() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old.bin" {
			w.WriteHeader(http.StatusGone)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
	}))
	defer server.Close()
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))

	source := httpsource.Source{Client: server.Client()}

	for _, name := range []string{"/eu.bin", "/old.bin"} {
		_, err := files.ReadFile(context.Background(), source.Object(server.URL+name))
		var status *httpsource.StatusError
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Println("no such object:", name)
		case errors.As(err, &status) && status.StatusCode == http.StatusForbidden:
			fmt.Println("sign a new URL:", status)
		default:
			fmt.Println(err)
		}
	}
	// Output:
	// sign a new URL: httpsource: 403 Forbidden (AccessDenied)
	// no such object: /old.bin
}
