package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warmcache/warmcache/examples/internal/s3test"
	"github.com/warmcache/warmcache/examples/rules/ruleset"
	"github.com/warmcache/warmcache/filecache"
)

// store is the S3 server.
var store *s3test.Server

func TestMain(m *testing.M) {
	s3test.Main(m, map[string]string{"RULES_BUCKET": "settings", "RULES_KEY": "rules.json"}, func(s *s3test.Server) { store = s })
}

func put(release int) { store.Put("/settings/rules.json", ruleset.Make(1000, fmt.Sprint(release))) }

// newProcess simulates a new process with dir as its temporary directory.
func newProcess(dir string, maxAge time.Duration) {
	files = filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: maxAge}))
	rules = sync.OnceValues(newRules)
	store.Asked()
}

// some is a cart with a discount of 8 percent on the first item.
var some = In{Cart: []Item{{"A00007-blue", 8, 100}, {"B1", 1, 50}}}

func invoke(t *testing.T, what, requests string, release int) {
	t.Helper()
	out, err := handle(t.Context(), some)
	if want := (Out{Cents: 736 + 50, Release: fmt.Sprint(release)}); err != nil || out != want {
		t.Errorf("%s: %+v, %v, want %+v", what, out, err, want)
	}
	if got := store.Asked(); got != requests {
		t.Errorf("%s sent S3 %q, want %q", what, got, requests)
	}
}

func stats(t *testing.T) filecache.ValueStats {
	t.Helper()
	v, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	return v.Stats()
}

func TestSecondInvocationParsesNothing(t *testing.T) {
	dir := t.TempDir()
	put(1)
	newProcess(dir, time.Hour)
	invoke(t, "cold", "GET 200", 1)
	invoke(t, "warm", "", 1)
	if s := stats(t); s.Parses != 1 || s.Hits != 1 {
		t.Errorf("Stats = %+v", s)
	}
	newProcess(dir, time.Hour)
	invoke(t, "restarted", "", 1)
}

func TestAfterMaxAge(t *testing.T) {
	put(1)
	newProcess(t.TempDir(), time.Nanosecond)
	invoke(t, "cold", "GET 200", 1)
	invoke(t, "after MaxAge", "GET 304", 1)
	put(2)
	invoke(t, "after a new release", "GET 200", 2)
	if s := stats(t); s.Parses != 2 || s.Revalidated != 1 {
		t.Errorf("Stats = %+v", s)
	}
}

// A broken upload must not stop the shop.
func TestBrokenRules(t *testing.T) {
	put(1)
	newProcess(t.TempDir(), time.Nanosecond)
	invoke(t, "cold", "GET 200", 1)
	store.Put("/settings/rules.json", []byte(`{"release":"2","rules":[{"prefix":"A","quantity":1,"percent":100}]}`))
	invoke(t, "with broken rules", "GET 200", 1)
	put(3)
	invoke(t, "after the repair", "GET 200", 3)
	if s := stats(t); s.InvalidServed != 1 || s.Failures != 1 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestWithoutCacheTheSameAnswers(t *testing.T) {
	t.Setenv("WARMCACHE", "off")
	put(1)
	newProcess(t.TempDir(), time.Hour)
	invoke(t, "first", "GET 200", 1)
	invoke(t, "second", "GET 200", 1)
}

// The rules are replaced while the function runs. No answer uses a release that was
// replaced before its invocation began, and each release is parsed at most once.
func TestReplacedUnderLoad(t *testing.T) {
	put(0)
	newProcess(t.TempDir(), 0) // S3 is asked on each invocation
	var released atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := released.Load()
				out, err := handle(context.Background(), some)
				var got int64
				if fmt.Sscan(out.Release, &got); err != nil || got < least {
					t.Errorf("release %s after %d, %v", out.Release, least, err)
					return
				}
			}
		})
	}
	const releases = 30
	for n := 1; n <= releases; n++ {
		put(n)
		released.Store(int64(n))
		before := stats(t)
		for s := before; s.Parses+s.Revalidated == before.Parses+before.Revalidated && !t.Failed(); s = stats(t) {
			time.Sleep(time.Millisecond) // time for an invocation to ask S3
		}
	}
	close(stop)
	wg.Wait()
	if s := stats(t); s.Parses > releases+1 || s.Parses < 2 {
		t.Errorf("%d parses of %d releases", s.Parses, releases+1)
	}
}

func TestInvalidEvents(t *testing.T) {
	newProcess(t.TempDir(), time.Hour)
	for _, in := range []In{{}, {Cart: make([]Item, maxItems+1)}} {
		if _, err := handle(t.Context(), in); err == nil {
			t.Errorf("%d items: no error", len(in.Cart))
		}
	}
	t.Setenv("RULES_KEY", "")
	if _, err := handle(t.Context(), some); err == nil {
		t.Error("no error without RULES_KEY")
	}
}

// Example shows three invocations of one container.
func Example() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	put(7)
	newProcess(dir, time.Nanosecond)
	for range 3 {
		out, err := handle(context.Background(), some)
		fmt.Println(out.Cents, out.Release, err, "| S3:", store.Asked())
	}
	v, _ := rules()
	fmt.Println("parsed", v.Stats().Parses, "time")
	// Output:
	// 786 7 <nil> | S3: GET 200
	// 786 7 <nil> | S3: GET 304
	// 786 7 <nil> | S3: GET 304
	// parsed 1 time
}
