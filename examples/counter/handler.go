package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/reuse"
)

// x lives as long as the process. It is atomic because invocations may run
// concurrently, and x++ would lose some of them.
var x atomic.Int64

// instance is a random name of the process.
var instance = rand.Text()

var reused = reuse.New()

// metrics is the log. CloudWatch turns lines in the Embedded Metric Format into
// metrics.
var metrics io.Writer = os.Stdout

// In is the event.
type In struct {
	Panic bool `json:"panic,omitempty"` // to see how a panic affects x and the file
}

// Out is the answer.
type Out struct {
	X          int64         `json:"x"`    // counted in memory
	Disk       int64         `json:"disk"` // counted in a file
	Instance   string        `json:"instance"`
	Pid        int           `json:"pid"`
	Invocation int64         `json:"invocation"`
	Start      string        `json:"start"`
	Thawed     bool          `json:"thawed,omitempty"` // the machine was paused since the last invocation
	Age        time.Duration `json:"age_ns"`
	Gap        time.Duration `json:"gap_ns"` // since the last invocation of the process
}

// handle answers one event. It does not depend on the host.
func handle(_ context.Context, in In) (Out, error) {
	found := reused.Begin()
	disk, err := countOnDisk()
	if err != nil {
		return Out{}, fmt.Errorf("counter: %w", err)
	}
	n := x.Add(1)
	if namespace := os.Getenv("METRICS_NAMESPACE"); namespace != "" {
		// Metrics are for observation only: an error does not fail the invocation.
		_ = found.EMF(metrics, namespace, map[string]string{"function": "counter"}, slog.Int64("x", n))
	}
	if in.Panic {
		panic(fmt.Sprintf("counter: asked to panic, at x = %d", n))
	}
	return Out{
		X:          n,
		Disk:       disk,
		Instance:   instance,
		Pid:        os.Getpid(),
		Invocation: found.Number,
		Start:      found.Start.String(),
		Thawed:     found.Thawed(),
		Age:        found.Age,
		Gap:        found.Gap,
	}, nil
}
