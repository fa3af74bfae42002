package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/origin"
)

// The states that an invocation is measured in.
const (
	noCache   = "no-cache"
	cold      = "cold"
	restarted = "restarted"
	warm      = "warm"
	thawed    = "thawed"
)

var states = []string{noCache, cold, restarted, warm, thawed}

// warmPerLife is how many warm invocations a life has: they are cheap, and what
// it is all about.
const warmPerLife = 5

// sample is one measured invocation.
type sample struct {
	took   time.Duration
	origin origin.Counts
}

// measure runs an example through a number of lives. Each round is the life of
// one container: cold, warm, frozen and thawed, crashed and restarted, ended;
// and beside it one invocation of a warm container without the library. So all
// states are measured interleaved, under the same noise.
func measure(ctx context.Context, e example, o *origins, rounds int, p *progress) ([]row, error) {
	plain, err := e.lambda(o, "WARMCACHE=off").Environment()
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	if _, err := plain.Invoke(ctx, []byte(e.event(0))); err != nil {
		return nil, err // its cold start is not what it is here for
	}
	m := measurement{example: e, origins: o, samples: map[string][]sample{}}
	for round := range rounds {
		if err := m.life(ctx, plain, e.event(round)); err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		p.step()
	}
	var rows []row
	for _, state := range states {
		rows = append(rows, newRow(e.name, state, m.samples[state]))
	}
	return rows, nil
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

// measurement collects the samples of an example by state.
type measurement struct {
	example
	origins *origins
	samples map[string][]sample
}

// step is an invocation within a life, and what happens to its container before.
type step struct {
	state  string
	env    *host.Environment
	kind   host.StartKind
	before func() error
}

func (m *measurement) life(ctx context.Context, plain *host.Environment, event string) error {
	env, err := m.lambda(m.origins).Environment()
	if err != nil {
		return err
	}
	defer env.Close()
	steps := []step{{noCache, plain, host.Warm, nothing}, {cold, env, host.Cold, nothing}}
	for range warmPerLife {
		steps = append(steps, step{warm, env, host.Warm, nothing})
	}
	steps = append(steps,
		step{thawed, env, host.Thawed, env.Freeze},
		step{restarted, env, host.Restarted, func() error { env.Crash(); return nil }})

	var want []byte // the answer without the library
	for _, s := range steps {
		if err := s.before(); err != nil {
			return fmt.Errorf("%s: %w", s.state, err)
		}
		got, err := m.invoke(ctx, s, event)
		if err != nil {
			return fmt.Errorf("%s: %w", s.state, err)
		}
		if s.state == noCache {
			want = got
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s: event %s: the answer differs from that without the library:\n got %s\nwant %s", s.state, event, got, want)
		}
	}
	return nil
}

func nothing() error { return nil }

// invoke runs and records one invocation. What the user waits for is measured:
// for a new process that includes its start.
func (m *measurement) invoke(ctx context.Context, s step, event string) ([]byte, error) {
	before := m.counts(m.origins)
	res, err := s.env.Invoke(ctx, []byte(event))
	switch {
	case err != nil:
		return nil, err
	case res.FunctionError != nil:
		return nil, fmt.Errorf("event %s: %w", event, res.FunctionError)
	case res.Start != s.kind:
		return nil, fmt.Errorf("the start was %v instead of %v", res.Start, s.kind)
	}
	m.samples[s.state] = append(m.samples[s.state], sample{res.Init + res.Duration, m.counts(m.origins).Sub(before)})
	return res.Payload, nil
}
