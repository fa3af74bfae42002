// Command release checks that the modules of this repository can be published, or
// prepares the commit that is tagged. docs/releasing.md has the whole procedure.
//
//	go run .            check, with a made-up version and a copy of the files
//	go run . -write     edit go.mod and go.sum for the version in VERSION
//	go run . -prepared  check the commit that -write has made, before it is tagged
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

// Each module of the repository is in one of these lists. A published module comes
// after the modules that it requires.
var (
	published = []string{".", "cache/redistier", "otelwarmcache", "examples/action"}
	private   = []string{".ci/release", "bench", "bench/peers", "examples", "examples/deploy", "examples/gcs"}
)

func main() {
	write := flag.Bool("write", false, "edit go.mod and go.sum of the published modules for the version in VERSION")
	prepared := flag.Bool("prepared", false, "fail unless -write has been run for the version in VERSION")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *write, *prepared); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write, prepared bool) error {
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("finding the repository: %w", err)
	}
	r := release{
		repo:      strings.TrimSpace(string(top)),
		version:   "v0.999.0", // no proxy has it
		published: published,
		private:   private,
		log:       os.Stdout,
	}
	if write || prepared {
		text, err := os.ReadFile(filepath.Join(r.repo, "VERSION"))
		if err != nil {
			return err
		}
		r.version = strings.TrimSpace(string(text))
	}
	defer r.close()
	changed, err := r.check(ctx)
	if err != nil {
		return err
	}
	switch {
	case write:
		if err := r.writeBack(changed); err != nil {
			return err
		}
		fmt.Println("edited:", strings.Join(changed, " "))
	case prepared && len(changed) > 0:
		return fmt.Errorf("not prepared for %s: %s differ; run release -write and commit", r.version, strings.Join(changed, ", "))
	}
	if write || prepared {
		fmt.Println("tags:", strings.Join(r.tags(), " "))
	}
	return nil
}
