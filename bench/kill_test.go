package main

import (
	"bytes"
	"context"
	"path/filepath"
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

	var env *host.Environment
	for begun := time.Now(); ; env.Close() {
		if env, err = model.lambda(o).Environment(); err != nil {
			t.Fatal(err)
		}
		defer env.Close()
		res, underWay := kill(ctx, t, env, event, o)
		if underWay && res.FunctionError != nil && res.FunctionError.Type == host.ErrorExit {
			break
		}
		if time.Since(begun) > 2*time.Minute {
			t.Fatalf("the invocation was never killed during its download: %+v", res)
		}
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

// kill invokes the function, crashes it during its download, and returns its result. The
// download is under way if it has bytes and a directory for files.
func kill(ctx context.Context, t *testing.T, env *host.Environment, event []byte, o *origins) (res host.Result, underWay bool) {
	t.Helper()
	before := o.Calls()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var err error
		if res, err = env.Invoke(ctx, event); err != nil {
			t.Error(err)
		}
	}()
	for !underWay {
		select {
		case <-ended: // before it was seen
			return res, false
		case <-time.After(time.Millisecond):
		}
		dirs, err := filepath.Glob(filepath.Join(env.Tmp(), "*", "d")) // the file itself may have no name
		if err != nil {
			t.Fatal(err)
		}
		underWay = len(dirs) > 0 && o.Calls().Sub(before).Bytes >= 1<<20
	}
	env.Crash()
	<-ended
	return res, true
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
