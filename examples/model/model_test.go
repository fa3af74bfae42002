package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/examples/internal/s3bucket"
	"github.com/warmcache/warmcache/examples/internal/s3test"
	"github.com/warmcache/warmcache/examples/model/table"
	"github.com/warmcache/warmcache/filecache"
)

const records = 12 << 20 / table.RecordSize

// store is the S3 server.
var store *s3test.Server

func TestMain(m *testing.M) {
	s3test.Main(m, map[string]string{"MODEL_BUCKET": "models", "MODEL_KEY": "prices-eu.bin"}, func(s *s3test.Server) {
		store = s
		store.Put("/models/prices-eu.bin", table.Make(records))
	})
}

// newProcess simulates a new process with dir as its temporary directory.
func newProcess(dir string) { newProcessMaxAge(dir, 5*time.Minute) }

func newProcessMaxAge(dir string, maxAge time.Duration) {
	files = filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: maxAge}))
	store.Asked()
}

// newContainer simulates a new process with an empty temporary directory, which it
// returns.
func newContainer(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	newProcess(dir)
	return dir
}

// some has the first and last id, ids between, ids outside the table, and one
// twice.
var some = In{IDs: []uint64{
	table.ID(0), table.ID(records - 1), table.ID(records / 2), 1, table.ID(7) + 1, table.ID(records), table.ID(7), table.ID(7),
}}

// want returns the answer to some.
func want() string {
	out := Out{Model: Model{Key: "prices-eu.bin", Size: 12 << 20, Records: records}}
	for _, id := range some.IDs {
		p := Price{ID: id}
		if id >= table.ID(0) && id < table.ID(records) && (id-table.ID(0))%7 == 0 {
			cents := table.Price(id)
			p.Cents = &cents
		}
		out.Prices = append(out.Prices, p)
	}
	return encode(out)
}

func encode(out Out) string {
	b, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// invoke checks the answer to some and the requests to S3.
func invoke(t *testing.T, what, requests string) {
	t.Helper()
	out, err := handle(t.Context(), some)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if got, want := encode(out), want(); got != want {
		t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
	}
	if got := store.Asked(); got != requests {
		t.Errorf("%s sent S3 %q, want %q", what, got, requests)
	}
}

func TestSecondInvocationAsksNothing(t *testing.T) {
	dir := newContainer(t)
	invoke(t, "cold", "GET 200")
	invoke(t, "warm", "")
	newProcess(dir)
	invoke(t, "restarted", "")
	newContainer(t)
	invoke(t, "cold again", "GET 200")
}

// A copy may be stale. After MaxAge S3 is asked, and sends the table only if it has
// changed.
func TestAfterMaxAge(t *testing.T) {
	dir := newContainer(t)
	invoke(t, "cold", "GET 200")
	newProcessMaxAge(dir, time.Nanosecond)
	invoke(t, "after MaxAge", "GET 304")

	old := table.Make(records)
	t.Cleanup(func() { store.Put("/models/prices-eu.bin", old) })
	store.Put("/models/prices-eu.bin", table.Make(10))
	out, err := handle(t.Context(), In{IDs: []uint64{table.ID(9), table.ID(10)}})
	if err != nil || out.Model.Records != 10 || out.Prices[0].Cents == nil || out.Prices[1].Cents != nil {
		t.Errorf("after a new table of 10 records: %s, %v", encode(out), err)
	}
	if got := store.Asked(); got != "GET 200" {
		t.Errorf("sent S3 %q", got)
	}
}

func TestWithoutCacheTheSameAnswers(t *testing.T) {
	t.Setenv("WARMCACHE", "off")
	dir := newContainer(t)
	invoke(t, "first", "GET 200")
	invoke(t, "second", "GET 200")
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the temporary directory: %v", left)
	}
}

// Damage to the copy never changes the answer.
func TestDamagedCopy(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"overwritten": func(path string) error { return os.WriteFile(path, make([]byte, 12<<20), 0o600) },
		"one bit": func(path string) error {
			// The record that a search reads first.
			return overwrite(path, records/2*table.RecordSize+15, []byte{byte(table.Price(table.ID(records/2))) ^ 1})
		},
		"cut":     func(path string) error { return os.Truncate(path, 6<<20) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
		"removed": os.Remove,
		"a directory": func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		},
		"all removed": func(path string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(path))) },
	} {
		for _, process := range []string{"same", "new"} {
			t.Run(name+"/"+process+" process", func(t *testing.T) {
				dir := newContainer(t)
				invoke(t, "cold", "GET 200")
				if err := damage(copyIn(t, dir)); err != nil {
					t.Fatal(err)
				}
				if process == "new" {
					newProcess(dir)
				}
				out, err := handle(t.Context(), some)
				if got := encode(out); err != nil || got != want() {
					t.Errorf("got  %s, %v\nwant %s", got, err, want())
				}
				if store.Asked() == "" {
					t.Error("S3 got no request")
				}
				handle(t.Context(), some) // makes a new copy, if the damage was repaired while reading
				store.Asked()
				invoke(t, "warm again", "")
			})
		}
	}
}

// copyIn returns the path of the copy in /tmp.
func copyIn(t *testing.T, dir string) (found string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil && info.Size() == 12<<20 {
				found = path
			}
		}
		return err
	})
	if found == "" {
		t.Fatalf("no copy in %s", dir)
	}
	return found
}

func overwrite(path string, off int64, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, off)
	return errors.Join(err, f.Close())
}

// Without a usable disk the function is slower, and the answers are the same.
func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newProcess(file)
	for range 2 {
		out, err := handle(t.Context(), some)
		if got := encode(out); err != nil || got != want() {
			t.Errorf("got  %s, %v\nwant %s", got, err, want())
		}
	}
}

func TestConcurrentInvocations(t *testing.T) {
	newContainer(t)
	want := want()
	var invocations sync.WaitGroup
	for range 8 {
		invocations.Go(func() {
			for range 10 {
				out, err := handle(t.Context(), some)
				if got := encode(out); err != nil || got != want {
					t.Errorf("got  %s, %v\nwant %s", got, err, want)
				}
			}
		})
	}
	invocations.Wait()
	if got := store.Asked(); got != "GET 200" {
		t.Errorf("sent S3 %q, want one GET", got)
	}
}

func TestNoSuchModel(t *testing.T) {
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		t.Setenv("MODEL_KEY", "prices-us.bin")
		newContainer(t)
		_, err := handle(t.Context(), some)
		if err == nil || !strings.Contains(err.Error(), "NoSuchKey") {
			t.Errorf("WARMCACHE=%s: error = %v, want S3's NoSuchKey", setting, err)
		}
	}
}

func TestNotATable(t *testing.T) {
	store.Put("/models/text", bytes.Repeat([]byte("x"), 17))
	t.Setenv("MODEL_KEY", "text")
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		_, err := handle(t.Context(), some)
		if err == nil || !strings.Contains(err.Error(), "model text: table: the size is 17 bytes") {
			t.Errorf("WARMCACHE=%s: error = %v", setting, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	newContainer(t)
	for _, in := range []In{{}, {IDs: make([]uint64, maxIDs+1)}} {
		if _, err := handle(t.Context(), in); err == nil || !strings.Contains(err.Error(), "ids: it must have 1 to 1000") {
			t.Errorf("%d ids: error = %v", len(in.IDs), err)
		}
	}
	t.Setenv("MODEL_KEY", "")
	if _, err := handle(t.Context(), some); err == nil || !strings.Contains(err.Error(), "MODEL_KEY is not set") {
		t.Errorf("error = %v", err)
	}
	t.Setenv("MODEL_BUCKET", "")
	if _, err := s3bucket.FromEnv("MODEL_BUCKET"); err == nil || !strings.Contains(err.Error(), "MODEL_BUCKET is not set") {
		t.Errorf("error = %v", err)
	}
	if got := store.Asked(); got != "" {
		t.Errorf("sent S3 %q", got)
	}
}

// In one container S3 is asked once, even if the process crashes and a new one
// finds the copy in /tmp.
func Example() {
	tmp, err := os.MkdirTemp("", "model")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(tmp)
	invoke := func(start string) {
		out, err := handle(context.Background(), In{IDs: []uint64{1007}})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %d costs %d cents. Asked S3: %q\n", start, out.Prices[0].ID, *out.Prices[0].Cents, store.Asked())
	}
	newProcess(tmp)
	invoke("cold")
	invoke("warm")
	newProcess(tmp)
	invoke("restarted")
	// Output:
	// cold: 1007 costs 161772 cents. Asked S3: "GET 200"
	// warm: 1007 costs 161772 cents. Asked S3: ""
	// restarted: 1007 costs 161772 cents. Asked S3: ""
}
