package httpsource_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
)

// A function gets a presigned URL with every event. The object is fetched once,
// whoever signed the URL.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the server is asked for", r.URL.Path)
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
	// the server is asked for /eu.bin
	// prices
	// prices
}
