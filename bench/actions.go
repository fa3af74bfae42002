package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/warmcache/warmcache/bench/checkout"
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
	rulesExample,
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

// build builds the example actions into dir.
func build(ctx context.Context, dir string) ([]example, error) {
	built := slices.Clone(examples)
	var names []string
	for i := range built {
		built[i].binary = filepath.Join(dir, built[i].name)
		names = append(names, built[i].name)
	}
	return built, checkout.Build(ctx, dir, names...)
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
