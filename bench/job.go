package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/bench/run"
	"github.com/warmcache/warmcache/internal/compare"
)

// measureAll builds the actions, starts their origins, and measures each of them.
func measureAll(ctx context.Context, s settings) (rows result.Rows, err error) {
	dir, err := os.MkdirTemp("", "warmcache-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	compare.Say("bench: building the actions")
	all, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	chosen := slices.DeleteFunc(all, func(e example) bool { return !s.Only.MatchString(e.name) })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-only: no example matches %q", s.Only)
	}
	compare.Say("bench: starting the origins")
	o, err := startOrigins(ctx, dir, s.Latencies)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	return measureEach(ctx, chosen, o, s.Rounds)
}

// measureEach skips examples that cannot run here, with a message.
func measureEach(ctx context.Context, chosen []example, o *origins, rounds int) (rows result.Rows, err error) {
	for _, e := range chosen {
		if e.prepare != nil {
			err := e.prepare(ctx, e, o)
			if errors.Is(err, errSkip) {
				compare.Say("bench: %s is %v", e.name, err)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
		}
		measured, err := measure(ctx, e, o, rounds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		rows = append(rows, measured...)
	}
	return rows, nil
}

// hosts returns the hosts that run here: actions of OpenWhisk need Unix.
func hosts() []string {
	if runtime.GOOS == "windows" {
		return []string{"lambda"}
	}
	return []string{"lambda", "openwhisk"}
}

// sandbox makes a container of the example.
func (e example) sandbox(on string, o *origins, env ...string) (host.Sandbox, error) {
	if on == "openwhisk" {
		return e.openWhisk(o, env...).Container()
	}
	return e.lambda(o, env...).Environment()
}

// measure runs lives of an example on each host. A round has one life of a
// container on each host, and one without the library, so all states are
// interleaved and see the same noise.
func measure(ctx context.Context, e example, o *origins, rounds int) (rows result.Rows, err error) {
	var drivers []*run.Driver
	for _, on := range hosts() {
		d := &run.Driver{Example: e.name, Host: on, Warm: e.warm(), Calls: o.Calls, Varies: e.varies, Strict: true,
			Sandbox: func() (host.Sandbox, error) { return e.sandbox(on, o) }}
		if !e.same {
			d.Plain = func() (host.Sandbox, error) { return e.sandbox(on, o, "WARMCACHE=off") }
		}
		drivers = append(drivers, d)
	}
	lives := e.lives(rounds)
	for round := range lives {
		if round%max(lives/4, 1) == 0 {
			compare.Say("bench: %s, round %d of %d", e.name, round+1, lives)
		}
		for _, d := range drivers {
			if err := d.Life(ctx, []byte(e.event(round))); err != nil {
				return nil, fmt.Errorf("%s: round %d: %w", d.Host, round+1, err)
			}
		}
	}
	for _, d := range drivers {
		rows = append(rows, d.Rows()...)
	}
	return rows, nil
}
