package filecache_test

import (
	"context"
	"fmt"
	"os"
	"text/template"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// shelf stands for a bucket; a function would use an s3source.Bucket.
type shelf map[string]string

func (s shelf) Object(name string) filecache.Object { return book{s, name} }

type book struct {
	shelf shelf
	name  string
}

func (b book) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "example://shelf", Name: b.name}, nil
}

func (b book) Fetch(_ context.Context, req filecache.Request) (*filecache.Response, error) {
	fmt.Println("fetching", b.name)
	text, ok := b.shelf[b.name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return answer(text, req)
}

// Code that reads an fs.FS reads through the cache.
func ExampleCache_FS() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	templates := shelf{"mail/welcome.txt": "Welcome, {{.}}!\n"}

	for _, name := range []string{"Ann", "Bob"} { // two invocations
		t, err := template.ParseFS(files.FS(context.Background(), templates), "mail/welcome.txt")
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := t.Execute(os.Stdout, name); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// fetching mail/welcome.txt
	// Welcome, Ann!
	// Welcome, Bob!
}
