package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/bench/origin"
)

func TestMain(m *testing.M) {
	origin.ServeIfChild()
	serveIfFunction()
	goleak.VerifyTestMain(m)
}

// The main job, with few rounds: every row is there, and the origins were asked
// exactly as often as each state should.
func TestMainJob(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("freezing a process needs Linux")
	}
	const mb12 = 12 << 20
	want := map[string]float64{
		"catalog/no-cache": 1, "catalog/cold": 1, "catalog/restarted": 1, "catalog/warm": 0, "catalog/thawed": 0,
		"model/no-cache": 1, "model/cold": 1, "model/restarted": 0, "model/warm": 0, "model/thawed": 0,
	}
	file := filepath.Join(t.TempDir(), "rows.json")
	s := settings{rounds: 3, json: file, firstByte: time.Millisecond, database: time.Millisecond}
	if err := run(context.Background(), s); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out struct{ Rows []row }
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Rows) != len(want) {
		t.Errorf("%d rows, want %d", len(out.Rows), len(want))
	}
	for _, r := range out.Rows {
		name := r.Example + "/" + r.State
		calls, ok := want[name]
		if !ok || r.OriginCalls != calls {
			t.Errorf("%s: %v origin calls per invocation, want %v", name, r.OriginCalls, calls)
		}
		if r.Example == "model" && r.OriginBytes != calls*mb12 {
			t.Errorf("%s: %v bytes per invocation, want %v", name, r.OriginBytes, calls*mb12)
		}
		n := 3
		if r.State == warm {
			n *= warmPerLife
		}
		if r.N != n || r.Host != "lambda" || r.P50 <= 0 || r.P90 < r.P50 || r.P99 < r.P90 {
			t.Errorf("%+v", r)
		}
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		args, want string
	}{
		{"-rounds 0", "-rounds is 0"},
		{"extra", `"extra"`},
		{"-s3-latency x", "s3-latency"},
	} {
		if _, err := parse(strings.Fields(tt.args)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.args, err)
		}
	}
	if s, err := parse([]string{"-quick"}); err != nil || s.rounds != 20 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	for i := range 200 {
		times = append(times, time.Duration(i+1)*time.Millisecond)
	}
	for p, want := range map[int]float64{50: 100, 90: 180, 99: 198, 100: 200, 0: 1} {
		if got := percentile(times, p); got != want {
			t.Errorf("p%d = %v, want %v", p, got, want)
		}
	}
	if got := percentile(times[:1], 99); got != 1 {
		t.Errorf("p99 of one = %v", got)
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("p50 of none = %v", got)
	}
}
