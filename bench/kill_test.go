package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/run"
)

// The host kills the action during its download and keeps /tmp. The naive recipe,
// "if the file exists use it, else copy it", would use the partial file.
func TestKilledInTheMiddleOfTheDownload(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	all, err := build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	o, err := startOrigins(ctx, dir, run.Latencies{Bandwidth: 20e6}) // 600 ms for 12 MiB
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	model := pick(t, all, "model")
	event := []byte(model.event(3))
	want := invokeIn(t, model.lambda(o, "WARMCACHE=off"), event)

	env, err := model.lambda(o).Environment()
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	before := o.Calls()
	killed := make(chan host.Result)
	go func() {
		res, err := env.Invoke(ctx, event)
		if err != nil {
			t.Error(err)
		}
		killed <- res
	}()
	for o.Calls().Sub(before).Bytes < 1<<20 {
		time.Sleep(time.Millisecond)
	}
	env.Crash()
	if res := <-killed; res.FunctionError == nil || res.FunctionError.Type != host.ErrorExit {
		t.Fatalf("the invocation was not killed: %+v", res)
	}
	if entries, err := os.ReadDir(env.Tmp()); err != nil || len(entries) == 0 {
		t.Errorf("the killed process had not begun to use /tmp: %v, %v", entries, err)
	}
	for _, kind := range []host.StartKind{host.Restarted, host.Warm} {
		res, err := env.Invoke(ctx, event)
		if err != nil || res.FunctionError != nil || res.Start != kind {
			t.Fatalf("%+v, %v", res, err)
		}
		if !bytes.Equal(res.Payload, want) {
			t.Errorf("%v: got %s, want %s", kind, res.Payload, want)
		}
	}
}

func invokeIn(t *testing.T, l host.Lambda, event []byte) []byte {
	t.Helper()
	env, err := l.Environment()
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	res, err := env.Invoke(context.Background(), event)
	if err != nil || res.FunctionError != nil {
		t.Fatalf("%+v, %v", res, err)
	}
	return res.Payload
}
