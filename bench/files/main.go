// Command files measures the file cache beside the downloaders of the AWS SDK, a
// plain GetObject into a file, and package os.
//
//	go run ./bench/files                      everything, in some minutes
//	go run ./bench/files -quick               with small sizes, to try it
//	go run ./bench/files -only '^(large|new)' measures by name
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/internal/compare"
)

func main() {
	origin.ServeIfChild()
	command.Main()
}

var command = compare.Command{
	Path: "files", Rounds: 9, Quick: 1,
	Libraries: []string{"/s3", "versitygw"},
	Set: func(f *compare.Flags) string {
		return fmt.Sprintf("%d interleaved rounds, files on %s", f.Rounds, fileSystem(os.TempDir()))
	},
	Measure: measureAll,
}

// measure is a kind of work with its contenders. The first contender is warmcache.
type measure struct {
	compare.Measure
	start func(s *setup) ([]compare.Contender, error)
}

// setup is the directory of a measure, with the functions to call at its end.
type setup struct {
	ctx  context.Context
	dir  string
	undo []func()
}

func measureAll(ctx context.Context, f *compare.Flags, r *compare.Report) error {
	for _, m := range measures(f.Quick) {
		if !f.Only.MatchString(m.Name) {
			continue
		}
		if err := m.run(ctx, f.Rounds, r); err != nil {
			return err
		}
	}
	for _, t := range targets {
		what := fmt.Sprintf("%s: %s over %s", t.measure, t.of, t.over)
		r.TargetRatio(what, t.atMost, r.Find(t.measure, t.of), r.Find(t.measure, t.over))
	}
	r.TargetMedian("new, µs", 100, r.Find("new", subject), 1)
	return nil
}

func (m measure) run(ctx context.Context, rounds int, r *compare.Report) error {
	dir, err := os.MkdirTemp("", "warmcache-files-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &setup{ctx: ctx, dir: dir}
	contenders, err := m.start(s)
	for _, undo := range s.undo {
		defer undo()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	return r.Run(m.Measure, rounds, contenders)
}

const subject = "warmcache"

var targets = []struct {
	measure, of, over string
	atMost            float64
}{
	{"large", subject, "transfermanager", 0.35},
	{"large", subject, "manager", 0.85},
	{"small/1024", subject, "GetObject", 1.3},
	{"small/65536", subject, "GetObject", 1.3},
	{"reopen", subject + ", 1 KiB", "os.Open, 1 KiB", 1},
	{"reopen", subject + ", 1 MiB", "os.Open, 1 MiB", 1},
	{"reopen", subject + ", 100 MiB", "os.Open, 100 MiB", 1},
	{"reopen", subject + ", 1 GiB", "os.Open, 1 GiB", 1},
	{"first-read", subject, "os.ReadFile", 1.05},
	{"first-read/buffer", subject, "os.ReadFile", 0.8},
	{"value-hit", subject + ", Value.Get", subject + ", cache.Get", 1.1},
	{"evict", subject + ", full", subject + ", with room", 2},
	{"evict/first", subject + ", full", subject + ", with room", 2},
}

// wall returns the time in ms that f takes.
func wall(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return float64(time.Since(start)) / 1e6, err
}

// each returns a sample of the time in µs that one of n calls takes.
func each(n int, f func() error) func() (float64, error) {
	return func() (float64, error) {
		start := time.Now()
		for range n {
			if err := f(); err != nil {
				return 0, err
			}
		}
		return float64(time.Since(start)) / 1e3 / float64(n), nil
	}
}

// fileSystem returns the name of dir's file system.
func fileSystem(dir string) string {
	name, err := exec.Command("stat", "-f", "-c", "%T", dir).Output()
	if err != nil {
		return "an unknown file system"
	}
	return string(bytes.TrimSpace(name))
}
