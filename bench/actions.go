package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

// example is an action to measure.
type example struct {
	name  string
	env   func(*origins) []string
	event func(round int) string

	// What most examples have none of.
	prepare func(context.Context, example, *origins) error // its data; an errSkip leaves it out
	varies  bool                                           // its answers are not to be compared: they tell the time, or count
	same    bool                                           // it keeps nothing by the library: there is no state without it
	every   int                                            // it is so slow that only each so many-th round measures it, with fewer warm ones

	binary string
}

// examples are all that have a cold and a warm side.
var examples = []example{
	{name: "catalog", env: catalogEnv, event: catalogEvent},
	{name: "model", env: modelEnv, event: modelEvent},
	{name: "session", env: sessionEnv, event: sessionEvent, prepare: logIn},
	{name: "thumbnail", env: thumbnailEnv, event: thumbnailEvent, prepare: putImages, every: 2},
	{name: "checks", env: checksEnv, event: checksEvent, prepare: putChecks, every: 10},
	{name: "counter", env: noEnv, event: noEvent, varies: true, same: true},
	{name: "presign", env: presignEnv, event: presignEvent, varies: true},
}

func noEnv(*origins) []string { return nil }
func noEvent(int) string      { return "{}" }

// errSkip is for an example that needs what this machine does not have.
var errSkip = errors.New("skipped")

// lives returns how many of the rounds measure it.
func (e example) lives(rounds int) int {
	if e.every == 0 {
		return rounds
	}
	return max(rounds/e.every, 1)
}

// warm returns how many warm invocations a life has: they are cheap mostly, and
// what it is all about.
func (e example) warm() int {
	if e.every > 0 {
		return 2
	}
	return 5
}

// build builds the example actions into dir. They are a module of their own, and
// so are they built.
func build(ctx context.Context, dir string) ([]example, error) {
	source, err := examplesDir()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator))
	built := make([]example, len(examples))
	for i, e := range examples {
		e.binary = filepath.Join(dir, e.name)
		built[i] = e
		cmd.Args = append(cmd.Args, "./"+e.name)
	}
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the examples: %w\n%s", err, out)
	}
	return built, nil
}

// examplesDir finds the examples from anywhere within the repository.
func examplesDir() (string, error) {
	root, err := repository()
	return filepath.Join(root, "examples"), err
}

func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "examples", "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("the examples are not here: run it in a checkout of the repository")
		}
		dir = filepath.Dir(dir)
	}
}

func (e example) lambda(o *origins, env ...string) host.Lambda {
	return host.Lambda{
		Binary:   e.binary,
		Name:     e.name,
		Env:      append(e.env(o), env...),
		Timeout:  30 * time.Second,
		MemoryMB: 512,
		Logs:     os.Stderr,
	}
}

func (e example) openWhisk(o *origins, env ...string) host.OpenWhisk {
	return host.OpenWhisk{Binary: e.binary, Name: e.name, Env: append(e.env(o), env...), Logs: os.Stderr}
}
