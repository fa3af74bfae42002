package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/compare"
)

// where is a host to run the examples on.
type where struct {
	name     string
	sandbox  func(e example, o *origins, env ...string) (host.Sandbox, error)
	restarts bool // after a crash there is a new process with the old /tmp
}

// hosts are those that run here: actions of OpenWhisk need Unix.
func hosts() []where {
	both := []where{
		{name: "lambda", sandbox: onLambda, restarts: true},
		{name: "openwhisk", sandbox: onOpenWhisk},
	}
	if runtime.GOOS == "windows" {
		return both[:1]
	}
	return both
}

func onLambda(e example, o *origins, env ...string) (host.Sandbox, error) {
	return e.lambda(o, env...).Environment()
}

func onOpenWhisk(e example, o *origins, env ...string) (host.Sandbox, error) {
	return e.openWhisk(o, env...).Container()
}

// measurement collects the samples of an example on a host, by state.
type measurement struct {
	example
	where
	origins *origins
	plain   host.Sandbox // a container of the action without the library
	samples map[result.State][]result.Sample
}

// measure runs an example through a number of lives on each host. A round has one
// life of a container on each: cold, warm, frozen and thawed, crashed and
// restarted, ended; and beside it one invocation of a warm container without the
// library. So all states are measured interleaved, under the same noise.
func measure(ctx context.Context, e example, o *origins, rounds int) (rows result.Rows, err error) {
	var all []*measurement
	for _, w := range hosts() {
		m := &measurement{example: e, where: w, origins: o, samples: map[result.State][]result.Sample{}}
		if err := m.startPlain(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", w.name, err)
		}
		defer m.plain.Close()
		all = append(all, m)
	}
	for round := range e.lives(rounds) {
		for _, m := range all {
			if err := m.life(ctx, e.event(round)); err != nil {
				return nil, fmt.Errorf("%s: round %d: %w", m.where.name, round+1, err)
			}
		}
		if round%10 == 0 {
			compare.Say("bench: %s, round %d of %d", e.name, round+1, e.lives(rounds))
		}
	}
	for _, m := range all {
		rows = append(rows, m.rows()...)
	}
	return rows, nil
}

func (m *measurement) startPlain(ctx context.Context) (err error) {
	if m.plain, err = m.sandbox(m.example, m.origins, "WARMCACHE=off"); err != nil {
		return err
	}
	res, err := m.plain.Invoke(ctx, []byte(m.event(0))) // its cold start is not what it is here for
	if err == nil && res.FunctionError != nil {
		err = res.FunctionError
	}
	if err != nil {
		m.plain.Close()
	}
	return err
}

func (m *measurement) rows() (rows result.Rows) {
	for _, state := range result.States {
		if samples := m.samples[state]; len(samples) > 0 {
			rows = append(rows, result.NewRow(m.example.name, m.where.name, state, samples))
		}
	}
	return rows
}

// step is an invocation within a life, and what happens to its container before.
type step struct {
	state  result.State
	in     host.Sandbox
	kind   host.StartKind
	before func() error
}

// steps are the life of a container.
func (m *measurement) steps(s, plain host.Sandbox) []step {
	var steps []step
	if plain != nil {
		steps = append(steps, step{result.NoCacheCold, plain, host.Cold, nothing}, step{result.NoCache, m.plain, host.Warm, nothing})
	}
	steps = append(steps, step{result.Cold, s, host.Cold, nothing})
	for range m.warm() {
		steps = append(steps, step{result.Warm, s, host.Warm, nothing})
	}
	steps = append(steps, step{result.Thawed, s, host.Thawed, s.Freeze})
	if m.restarts {
		steps = append(steps, step{result.Restarted, s, host.Restarted, func() error { s.Crash(); return nil }})
	}
	return steps
}

func nothing() error { return nil }

func (m *measurement) life(ctx context.Context, event string) error {
	s, err := m.sandbox(m.example, m.origins)
	if err != nil {
		return err
	}
	defer s.Close()
	var plain host.Sandbox
	if !m.same {
		if plain, err = m.sandbox(m.example, m.origins, "WARMCACHE=off"); err != nil {
			return err
		}
		defer plain.Close()
	}
	var want []byte // the answer without the library
	for _, step := range m.steps(s, plain) {
		err := step.before()
		if errors.Is(err, errors.ErrUnsupported) {
			continue // freezing needs Linux
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.state, err)
		}
		got, err := m.invoke(ctx, step, event)
		if err != nil {
			return fmt.Errorf("%s: %w", step.state, err)
		}
		if step.state == result.NoCacheCold {
			want = got
		}
		if !m.varies && !bytes.Equal(got, want) {
			return fmt.Errorf("%s: event %s: the answer differs from that without the library:\n got %s\nwant %s", step.state, event, got, want)
		}
	}
	return nil
}

// invoke runs and records one invocation. What the user waits for is measured:
// for a new process that includes its start.
func (m *measurement) invoke(ctx context.Context, s step, event string) ([]byte, error) {
	before := m.origins.calls()
	res, err := s.in.Invoke(ctx, []byte(event))
	switch {
	case err != nil:
		return nil, err
	case res.FunctionError != nil:
		return nil, fmt.Errorf("event %s: %w", event, res.FunctionError)
	case res.Start != s.kind:
		return nil, fmt.Errorf("the start was %v instead of %v", res.Start, s.kind)
	}
	m.samples[s.state] = append(m.samples[s.state],
		result.Sample{Took: res.Init + res.Duration, Calls: new(m.origins.calls().Sub(before))})
	return res.Payload, nil
}
