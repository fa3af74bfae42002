package filecache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// inventory stands for an origin. In a function it would be an S3 object:
//
//	models := s3source.Bucket{Client: client, Name: "models"}
//	models.Object("prices-eu.bin")
type inventory struct{ body string }

func (inventory) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "example://models", Name: "prices-eu.bin"}, nil
}

func (o inventory) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	fmt.Println("asking the origin")
	return &filecache.Response{
		Body: io.NopCloser(bytes.NewReader([]byte(o.body))),
		Size: int64(len(o.body)),
		ETag: `"v1"`,
	}, nil
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
	// asking the origin
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
	for range 2 { // what is verified can never change: the origin is asked once
		b, err := files.ReadFile(context.Background(), prices)
		fmt.Printf("%s %v\n", b, err)
	}
	// Output:
	// asking the origin
	// lamp 1999 <nil>
	// lamp 1999 <nil>
}

// A program that opens files by itself gets a path. It is good until release.
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
	// asking the origin
	// lamp 1999 <nil>
}

// A work space for one invocation, of which nothing stays for the next.
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
