package filecache_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// A model in a tar file is unpacked once. It stays unpacked for later invocations and
// for the next process.
func ExampleCache_Tree() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range []string{"model/labels.txt", "model/weights.bin"} {
		w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 5})
		w.Write([]byte("bytes"))
	}
	w.Close()
	object := &rules{archive.String()} // models.Object("model.tar.gz")

	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Hour}))
	handle := func(ctx context.Context) error {
		model, release, err := files.Tree(ctx, object, 1<<30) // at most 1 GiB unpacked
		if err != nil {
			return err
		}
		defer release() // it is not evicted before
		names, err := fs.Glob(os.DirFS(model), "model/*")
		fmt.Println(names)
		return err
	}
	for range 2 {
		if err := handle(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// origin: sends the rules
	// [model/labels.txt model/weights.bin]
	// [model/labels.txt model/weights.bin]
}
