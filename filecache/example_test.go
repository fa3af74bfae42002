package filecache_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/objecttest"
)

// inventory is a custom Object, whose origin is a string here. Package
// s3source has S3 objects:
//
//	models := s3source.Bucket{Client: client, Name: "models"}
//	models.Object("prices-eu.bin")
type inventory struct{ body string }

func (inventory) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "example://models", Name: "prices-eu.bin"}, nil
}

func (o inventory) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	fmt.Println("fetching from the origin")
	return answer(o.body, req)
}

// answer answers a Request. Package objecttest tests that.
func answer(body string, req filecache.Request) (*filecache.Response, error) {
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(body)))
	size := int64(len(body))
	switch {
	case req.IfMatch != "" && req.IfMatch != etag:
		return nil, filecache.ErrChanged
	case req.IfNoneMatch == etag:
		return &filecache.Response{NotModified: true}, nil
	case req.Offset > size:
		return nil, errors.New("the range begins past the end")
	}
	part := body[req.Offset:]
	if req.Length > 0 {
		part = part[:min(req.Length, int64(len(part)))]
	}
	return &filecache.Response{Body: io.NopCloser(strings.NewReader(part)), Size: size, ETag: etag}, nil
}

func TestObjectsOfTheExamples(t *testing.T) {
	text := strings.Repeat("lamp 1999, ", 10)
	for _, obj := range []filecache.Object{inventory{text}, shelf{"list.txt": text}.Object("list.txt")} {
		if err := objecttest.TestObject(t.Context(), obj, objecttest.Origin{Content: []byte(text)}); err != nil {
			t.Error(err)
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	// In a function: a package-level variable, and no Dir.
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: 5 * time.Minute}))

	handle := func(ctx context.Context) error {
		f, err := files.Open(ctx, inventory{"lamp 1999"})
		if err != nil {
			return err
		}
		defer f.Close()
		price := make([]byte, 4)
		if _, err := f.ReadAt(price, 5); err != nil {
			return err
		}
		fmt.Printf("%s cents\n", price)
		return nil
	}
	for range 2 { // two invocations of one container
		if err := handle(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// fetching from the origin
	// 1999 cents
	// 1999 cents
}

func ExampleWithSHA256() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))

	const sum = "dca42c8ad561d4c15bbb3afe7851abcddd6309731fea83169dbb1c3ecefa6461"
	prices := filecache.WithSHA256(inventory{"lamp 1999"}, sum)
	for range 2 { // verified bytes never change: there is one request
		b, err := files.ReadFile(context.Background(), prices)
		fmt.Printf("%s %v\n", b, err)
	}
	// Output:
	// fetching from the origin
	// lamp 1999 <nil>
	// lamp 1999 <nil>
}

// A program that opens files itself gets a path, which is valid until release.
func ExampleCache_Path() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))

	path, release, err := files.Path(context.Background(), inventory{"lamp 1999"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer release()
	b, err := os.ReadFile(path) // exec.CommandContext(ctx, "lookup", path).Output()
	fmt.Printf("%s %v\n", b, err)
	// Output:
	// fetching from the origin
	// lamp 1999 <nil>
}

// A directory for the work of one invocation. Nothing in it remains for the next one.
func ExampleCache_Scratch() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))

	work, remove, err := files.Scratch()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() {
		if err := remove(); err != nil {
			fmt.Println(err)
		}
		_, err := os.Stat(work)
		fmt.Println("left:", err == nil)
	}()
	err = os.WriteFile(filepath.Join(work, "page.txt"), []byte("private"), 0o600)
	fmt.Println("written:", err == nil)
	// Output:
	// written: true
	// left: false
}
