package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/warmcache/warmcache/examples/geo/geodb"
	"github.com/warmcache/warmcache/examples/internal/s3test"
	"github.com/warmcache/warmcache/filecache"
)

// store is the S3 server.
var store *s3test.Server

func TestMain(m *testing.M) {
	s3test.Main(m, map[string]string{"GEO_BUCKET": "geo", "GEO_KEY": "countries.db.zst"}, func(s *s3test.Server) { store = s })
}

const ranges = 10_000

func pack(b []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func put(seed int) { store.Put("/geo/countries.db.zst", pack(geodb.Make(ranges, seed))) }

// newProcess simulates a new process with dir as its temporary directory.
func newProcess(t *testing.T, dir string, maxAge time.Duration) {
	files = filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: maxAge}))
	database = sync.OnceValues(newDatabase)
	t.Cleanup(func() {
		if v, err := database(); err == nil {
			v.Close()
		}
	})
	store.Asked()
}

var some = In{Addresses: []netip.Addr{netip.MustParseAddr("0.0.0.1"), netip.MustParseAddr("255.255.255.255")}}

func want(seed int) []string {
	return []string{geodb.Letters(0, seed), geodb.Letters(ranges-1, seed)}
}

func invoke(t *testing.T, what, requests string, seed int) {
	t.Helper()
	out, err := handle(t.Context(), some)
	if err != nil || fmt.Sprint(out.Countries) != fmt.Sprint(want(seed)) {
		t.Errorf("%s: %v, %v, want %v", what, out.Countries, err, want(seed))
	}
	if got := store.Asked(); got != requests {
		t.Errorf("%s sent S3 %q, want %q", what, got, requests)
	}
}

func TestLife(t *testing.T) {
	dir := t.TempDir()
	put(1)
	newProcess(t, dir, time.Hour)
	invoke(t, "cold", "GET 200", 1)
	invoke(t, "warm", "", 1)
	newProcess(t, dir, time.Hour)
	invoke(t, "restarted", "", 1)
	if s := files.Stats(); s.Misses != 0 || s.Hits != 1 {
		t.Errorf("restarted: %+v: want one open, of the unpacked copy", s)
	}
	newProcess(t, dir, time.Nanosecond)
	invoke(t, "after MaxAge", "GET 304", 1)
	put(2)
	invoke(t, "after a new database", "GET 200", 2)
}

func TestWithoutCacheTheSameAnswers(t *testing.T) {
	t.Setenv("WARMCACHE", "off")
	put(1)
	newProcess(t, t.TempDir(), time.Hour)
	invoke(t, "first", "GET 200", 1)
	invoke(t, "second", "GET 200", 1)
}

func TestWithoutADisk(t *testing.T) {
	put(1)
	newProcess(t, "/dev/null/nowhere", time.Hour)
	invoke(t, "cold", "GET 200", 1)
	invoke(t, "warm", "", 1)
}

func TestBomb(t *testing.T) {
	store.Put("/geo/countries.db.zst", pack(make([]byte, maxSize+1)))
	newProcess(t, t.TempDir(), time.Hour)
	if _, err := handle(t.Context(), some); !errors.Is(err, filecache.ErrTooLarge) {
		t.Errorf("a database of more than %d bytes: %v", maxSize, err)
	}
}

// Unmapping a database while another invocation searches it would crash the
// process. Here the database is replaced a hundred times while eight goroutines
// search.
func TestSwappedUnderReaders(t *testing.T) {
	const swaps, readers = 100, 8
	put(0)
	newProcess(t, t.TempDir(), 0) // S3 is asked on each invocation
	v, err := database()
	if err != nil {
		t.Fatal(err)
	}
	read(t, v, 0, swaps) // the first version must be parsed before it is replaced
	var current atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range readers {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				read(t, v, int(current.Load()), swaps)
			}
		})
	}
	for seed := 1; seed <= swaps && !t.Failed(); seed++ {
		parses := v.Stats().Parses
		put(seed)
		current.Store(int64(seed))
		for v.Stats().Parses == parses && !t.Failed() {
			time.Sleep(time.Millisecond) // time for a reader to find the new version
		}
	}
	close(stop)
	wg.Wait()
	if s := v.Stats(); s.Parses < swaps+1 || s.Failures != 0 || s.CloseErrors != 0 {
		t.Errorf("Stats = %+v, want at least %d parses", s, swaps+1)
	}
}

// read searches a whole database and checks that all answers are of one version.
func read(t *testing.T, v *filecache.Value[*geodb.DB], least, most int) {
	db, release, err := v.Acquire(context.Background())
	if err != nil {
		t.Error(err)
		return
	}
	defer release()
	for seed := least; seed <= most; seed++ {
		if db.Country(some.Addresses[0]) != geodb.Letters(0, seed) {
			continue
		}
		for i := 0; i < ranges; i += 97 {
			first := uint32(uint64(i)<<32/ranges) + 1
			addr := netip.AddrFrom4([4]byte{byte(first >> 24), byte(first >> 16), byte(first >> 8), byte(first)})
			if got := db.Country(addr); got != geodb.Letters(i, seed) {
				t.Errorf("%v is in %s, want %s", addr, got, geodb.Letters(i, seed))
				return
			}
		}
		return
	}
	t.Errorf("the database is not one of versions %d to %d", least, most)
}

func TestInvalid(t *testing.T) {
	newProcess(t, t.TempDir(), time.Hour)
	if _, err := handle(t.Context(), In{}); err == nil {
		t.Error("no addresses: no error")
	}
	store.Put("/geo/countries.db.zst", bytes.Repeat([]byte("x"), 100))
	if _, err := handle(t.Context(), some); err == nil {
		t.Error("not packed: no error")
	}
	store.Put("/geo/countries.db.zst", pack([]byte("not a database")))
	if _, err := handle(t.Context(), some); err == nil {
		t.Error("not a database: no error")
	}
	t.Setenv("GEO_KEY", "")
	if _, err := handle(t.Context(), some); err == nil {
		t.Error("no error without GEO_KEY")
	}
}
