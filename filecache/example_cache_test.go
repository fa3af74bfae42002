package filecache_test

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// An object that does not exist at the origin is an error like that of os.Open.
func ExampleCache_Open() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	prices := shelf{"prices/eu.csv": "lamp,1999\n"}

	for _, region := range []string{"eu", "us"} {
		f, err := files.Open(context.Background(), prices.Object("prices/"+region+".csv"))
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Println("no prices for", region)
			continue
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		defer f.Close()
		rows, err := csv.NewReader(f).ReadAll()
		fmt.Println(rows, err)
	}
	// Output:
	// fetching prices/eu.csv
	// [[lamp 1999]] <nil>
	// fetching prices/us.csv
	// no prices for us
}

// A small object is read in one call.
func ExampleCache_ReadFile() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	pages := shelf{"imprint.html": "<h1>Imprint</h1>"}

	for range 2 { // two invocations of one container
		page, err := files.ReadFile(context.Background(), pages.Object("imprint.html"))
		fmt.Printf("%s %v\n", page, err)
	}
	// Output:
	// fetching imprint.html
	// <h1>Imprint</h1> <nil>
	// <h1>Imprint</h1> <nil>
}

// The function that initializes the container fetches the objects that every invocation
// needs, at the same time.
func ExampleCache_Prefetch() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Hour}))
	models := shelf{"labels.txt": "lamp\nchair\n", "weights.bin": "0.25 0.75"}

	err = files.Prefetch(context.Background(), models.Object("labels.txt"), models.Object("weights.bin"))
	if err != nil {
		slog.Warn("prefetch", "err", err) // the invocations try again
	}
	weights, err := files.ReadFile(context.Background(), models.Object("weights.bin")) // later
	fmt.Printf("%s %v\n", weights, err)
	// Unordered output:
	// fetching labels.txt
	// fetching weights.bin
	// 0.25 0.75 <nil>
}

// An event reports that an object was replaced, so its copy is removed before MaxAge.
func ExampleCache_Forget() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Hour}))
	prices := shelf{"eu.csv": "lamp,1999"}
	read := func() {
		b, err := files.ReadFile(context.Background(), prices.Object("eu.csv"))
		fmt.Printf("%s %v\n", b, err)
	}

	read()
	prices["eu.csv"] = "lamp,1899"
	read()
	if err := files.Forget(prices.Object("eu.csv")); err != nil {
		fmt.Println(err)
	}
	read()
	// Output:
	// fetching eu.csv
	// lamp,1999 <nil>
	// lamp,1999 <nil>
	// fetching eu.csv
	// lamp,1899 <nil>
}

// All prices changed at once, and the event does not list the objects.
func ExampleCache_Clear() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Hour}))
	prices := shelf{"eu.csv": "lamp,1999", "us.csv": "lamp,2199"}
	read := func(name string) {
		b, err := files.ReadFile(context.Background(), prices.Object(name))
		fmt.Printf("%s %v\n", b, err)
	}

	read("eu.csv")
	read("us.csv")
	files.Clear()
	read("eu.csv")
	// Output:
	// fetching eu.csv
	// lamp,1999 <nil>
	// fetching us.csv
	// lamp,2199 <nil>
	// fetching eu.csv
	// lamp,1999 <nil>
}

// A command closes its Cache at the end. The next run finds the copies.
func ExampleCache_Close() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	prices := shelf{"eu.csv": "lamp,1999"}

	run := func() error {
		files, err := filecache.New(filecache.Options{Dir: dir, MaxAge: time.Hour})
		if err != nil {
			return err
		}
		defer files.Close()
		b, err := files.ReadFile(context.Background(), prices.Object("eu.csv"))
		fmt.Printf("%s\n", b)
		return err
	}
	for range 2 {
		if err := run(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// fetching eu.csv
	// lamp,1999
	// lamp,1999
}

// Before a program writes a large file of its own to /tmp, copies are evicted for it.
func ExampleCache_MakeRoom() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))

	const video = 1 << 20 // bytes
	free, err := files.MakeRoom(video)
	if err != nil {
		fmt.Println(err)
		return
	}
	if free < video {
		fmt.Println("the video does not fit: the disk has only", free, "bytes")
		return
	}
	fmt.Println("there is room for the video")
	// Output:
	// there is room for the video
}

// A conversion reserves the space of its result before it starts.
func ExampleCache_ScratchSize() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))

	for _, size := range []int64{1 << 20, 1 << 60} {
		work, remove, err := files.ScratchSize(size)
		if errors.Is(err, filecache.ErrNoDisk) {
			fmt.Println("refused: use a function with more ephemeral storage")
			continue
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		info, err := os.Stat(work)
		fmt.Println("a directory:", err == nil && info.IsDir())
		if err := remove(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// a directory: true
	// refused: use a function with more ephemeral storage
}

// The counts are logged at the end of an invocation, without those that are zero.
func ExampleCache_Stats() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	prices := shelf{"eu.csv": "lamp,1999"}
	for range 3 {
		if _, err := files.ReadFile(context.Background(), prices.Object("eu.csv")); err != nil {
			fmt.Println(err)
		}
	}

	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutZeros}))
	log.Info("invocation", "files", files.Stats())
	// Output:
	// fetching eu.csv
	// level=INFO msg=invocation files.hits=2 files.misses=1 files.misses_by.absent=1 files.unsummed=1 files.requests=1 files.origin_bytes=9 files.disk_bytes=27 files.breaker=closed
}

// withoutZeros leaves zero counts, empty texts and the time out of a log.
func withoutZeros(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Value.Equal(slog.Int64Value(0)) || a.Value.Equal(slog.StringValue("")) {
		return slog.Attr{}
	}
	return a
}
