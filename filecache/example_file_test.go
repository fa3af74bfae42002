package filecache_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sort"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// A File is read like one of package os, line by line here.
func ExampleFile_Read() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	f, err := files.Open(context.Background(), shelf{"labels.txt": "lamp\nchair\n"}.Object("labels.txt"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()

	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fmt.Println("label:", lines.Text())
	}
	if err := lines.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// fetching labels.txt
	// label: lamp
	// label: chair
}

// A table of sorted records is searched without reading all of it.
func ExampleFile_ReadAt() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	const table = "chair 4999desk  9900lamp  1999" // records of 10 bytes
	f, err := files.Open(context.Background(), shelf{"prices": table}.Object("prices"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()

	const length = 10
	record := make([]byte, length)
	n := int(f.Size() / length)
	i := sort.Search(n, func(i int) bool {
		_, err = f.ReadAt(record, int64(i)*length)
		return err != nil || string(record[:6]) >= "lamp  "
	})
	if err != nil || i == n {
		fmt.Println("not found:", err)
		return
	}
	_, err = f.ReadAt(record, int64(i)*length)
	fmt.Printf("%s of %d: %s %v\n", record[:4], n, record[6:], err)
	// Output:
	// fetching prices
	// lamp of 3: 1999 <nil>
}

// Package net/http serves ranges of a File, since it is an io.ReadSeeker.
func ExampleFile_Seek() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	serve := func(w http.ResponseWriter, r *http.Request) {
		f, err := files.Open(r.Context(), inventory{"lamp 1999"})
		if err != nil {
			http.Error(w, "the prices are not available", http.StatusBadGateway)
			return
		}
		defer f.Close()
		w.Header().Set("Content-Type", "text/plain")
		http.ServeContent(w, r, "", time.Time{}, f)
	}

	r := httptest.NewRequest(http.MethodGet, "/prices", nil)
	r.Header.Set("Range", "bytes=5-8")
	w := httptest.NewRecorder()
	serve(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// fetching from the origin
	// 206 1999
}

// A File is copied block by block, however large it is.
func ExampleFile_WriteTo() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	f, err := files.Open(context.Background(), inventory{"lamp 1999"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()

	hash := sha256.New()
	n, err := io.Copy(hash, f) // calls f.WriteTo
	fmt.Printf("%d bytes, SHA-256 %.4x..., %v\n", n, hash.Sum(nil), err)
	// Output:
	// fetching from the origin
	// 9 bytes, SHA-256 dca42c8a..., <nil>
}

// A program that reads files by itself gets a path, which is good until Close.
func ExampleFile_Path() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	f, err := files.Open(context.Background(), inventory{"lamp 1999"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()

	path, err := f.Path()
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := os.ReadFile(path) // exec.CommandContext(ctx, "lookup", path).Output()
	fmt.Printf("%s %v\n", b, err)
	// Output:
	// fetching from the origin
	// lamp 1999 <nil>
}

// An index is built again only for another version of the object.
func ExampleFile_Version() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	prices := shelf{"eu.csv": "lamp,1999"}
	indexed := ""
	for _, content := range []string{"lamp,1999", "lamp,1999", "lamp,1899"} {
		prices["eu.csv"] = content
		f, err := files.Open(context.Background(), prices.Object("eu.csv"))
		if err != nil {
			fmt.Println(err)
			return
		}
		if f.Version() != indexed {
			fmt.Println("indexing", content)
			indexed = f.Version()
		}
		f.Close()
	}
	// Output:
	// fetching eu.csv
	// indexing lamp,1999
	// fetching eu.csv
	// fetching eu.csv
	// indexing lamp,1899
}

// Stat has the size, and the origin's metadata as an Info.
func ExampleFile_Stat() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	f, err := files.Open(context.Background(), &rules{"lamp"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()

	stat, err := f.Stat()
	if err != nil {
		fmt.Println(err)
		return
	}
	info := stat.Sys().(*filecache.Info)
	fmt.Println(stat.Name(), stat.Size())
	fmt.Println(info.ID, info.ETag)
	// Output:
	// origin: sends the rules
	// rules.json 4
	// example://settings/rules.json "lamp"
}

// An ID is printed as a URL, as in the errors of a Cache.
func ExampleID_String() {
	fmt.Println(filecache.ID{Origin: "s3://models", Name: "prices-eu.bin"})
	fmt.Println(filecache.ID{Origin: "s3://models", Name: "prices-eu.bin", Version: "3sL4kqtJlcpXroDTDmJ"})
	// Output:
	// s3://models/prices-eu.bin
	// s3://models/prices-eu.bin?version=3sL4kqtJlcpXroDTDmJ
}

// An Object converts the checksum in an origin's header for its Response.
func ExampleAlgorithm_Size() {
	parse := func(a filecache.Algorithm, header string) (filecache.Checksum, error) {
		sum, err := base64.StdEncoding.DecodeString(header)
		if err == nil && len(sum) != a.Size() {
			err = fmt.Errorf("the %v has %d bytes, want %d", a, len(sum), a.Size())
		}
		return filecache.Checksum{Algorithm: a, Sum: sum}, err
	}
	sum, err := parse(filecache.CRC32C, "yZRlqg==")
	fmt.Printf("%x %v\n", sum.Sum, err)
	_, err = parse(filecache.SHA256, "yZRlqg==")
	fmt.Println(err)
	// Output:
	// c99465aa <nil>
	// the SHA256 has 4 bytes, want 32
}

// A conversion of an object from outside bounds its output.
func ExampleLimitWriter() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	double := func(ctx context.Context, src *filecache.File, dst io.Writer) error {
		dst = filecache.LimitWriter(dst, 12) // megabytes in a function
		for range 2 {
			if _, err := src.Seek(0, io.SeekStart); err != nil {
				return err
			}
			if _, err := io.Copy(dst, src); err != nil {
				return err
			}
		}
		return nil
	}
	doubled := filecache.Derived(inventory{"lamp 1999"}, "double-v1", double)
	_, err = files.ReadFile(context.Background(), doubled)
	fmt.Println(errors.Is(err, filecache.ErrTooLarge))
	// Output:
	// fetching from the origin
	// true
}
