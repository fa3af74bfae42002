package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/cache"
)

// frozenTTL is the variable that makes this test binary a function. It answers with
// a value from a cache of that TTL. The value counts its loads.
const frozenTTL = "WARMCACHE_TEST_TTL"

func serveIfFunction() {
	ttl, err := time.ParseDuration(os.Getenv(frozenTTL))
	if err != nil {
		return
	}
	loads := 0
	values := cache.Must(cache.New(cache.Options[string, int]{
		TTL:  ttl,
		Load: func(context.Context, string) (int, error) { loads++; return loads, nil },
	}))
	lambda.Start(func(ctx context.Context) (int, error) { return values.Get(ctx, "key") })
}

// A real pause of a real process: the first invocation after the pause does not get
// a value that expired during the pause.
func TestFreezeAcrossTheTTL(t *testing.T) {
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		ttl, freeze time.Duration
		want        int
	}{
		{300 * time.Millisecond, 400 * time.Millisecond, 2},
		{time.Hour, 400 * time.Millisecond, 1},
	} {
		env, err := host.Lambda{Binary: self, Env: []string{frozenTTL + "=" + tt.ttl.String()}, Timeout: time.Minute, InitTimeout: 5 * time.Minute, Logs: os.Stderr}.Environment()
		if err != nil {
			t.Fatal(err)
		}
		defer env.Close()
		invoke := func(want int, kind host.StartKind) {
			t.Helper()
			res, err := env.Invoke(context.Background(), nil)
			if err != nil || res.FunctionError != nil || res.Start != kind {
				t.Fatalf("%+v, %v; want a %v start", res, err, kind)
			}
			if string(res.Payload) != strconv.Itoa(want) {
				t.Errorf("TTL %v: the %v invocation got load %s, want %d", tt.ttl, kind, res.Payload, want)
			}
		}
		invoke(1, host.Cold)
		if err := env.Freeze(); err != nil {
			t.Skipf("cannot freeze here: %v", err)
		}
		time.Sleep(tt.freeze) // the process is frozen for this time; nothing else is awaited
		invoke(tt.want, host.Thawed)
	}
}
