package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/result"
)

// Driver runs a function through lives of its container and records a sample of each
// invocation. Its methods must not be called concurrently.
type Driver struct {
	// Example and Host name the rows. On the host "openwhisk" a crash is not a
	// separate state, because the next start is cold.
	Example, Host string

	// Sandbox makes a new container.
	Sandbox func() (host.Sandbox, error)

	// Plain makes a container of the same function without the library. It may be
	// nil. Beside each life one such container runs, whose cold start and second
	// invocation are the states no-cache cold and no-cache. All answers are
	// compared with its answers; if Plain is nil, with the first answer to the same
	// event.
	Plain func() (host.Sandbox, error)

	// Warm is the number of warm invocations in each life.
	Warm int

	// Calls returns the calls to the function's origins so far. Nil means unknown.
	Calls func() origin.Counts

	// Varies reports that answers to the same event may differ.
	Varies bool

	// Strict makes a failure, a different answer or a start of another kind an error of
	// Life. Otherwise the Driver counts them.
	Strict bool

	// Seen is called with each result, perhaps concurrently. It may be nil.
	Seen func(result.State, []byte, host.Result)

	mu      sync.Mutex
	samples map[result.State][]result.Sample
	answers map[string][]byte // the first answer to each event
	differ  int               // answers that are not the first one
}

// Life runs one container with an event: cold, warm, frozen and thawed, crashed and
// restarted. Without support for freezing it skips that state.
func (d *Driver) Life(ctx context.Context, event []byte) (err error) {
	s, err := d.Sandbox()
	if err != nil {
		return err
	}
	defer s.Close()
	if d.Plain != nil {
		if err := d.plain(ctx, event); err != nil {
			return err
		}
	}
	states := append([]result.State{result.Cold}, slices.Repeat([]result.State{result.Warm}, d.Warm)...)
	if states = append(states, result.Thawed); d.Host != "openwhisk" {
		states = append(states, result.Restarted)
	}
	for _, state := range states {
		switch state {
		case result.Thawed:
			if err := s.Freeze(); errors.Is(err, errors.ErrUnsupported) {
				continue
			} else if err != nil {
				return err
			}
		case result.Restarted:
			s.Crash()
		}
		if _, err := d.invoke(ctx, s, event, state); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) plain(ctx context.Context, event []byte) error {
	s, err := d.Plain()
	if err != nil {
		return err
	}
	defer s.Close()
	for _, state := range []result.State{result.NoCacheCold, result.NoCache} {
		if _, err := d.invoke(ctx, s, event, state); err != nil {
			return err
		}
	}
	return nil
}

// starts are the kinds of start that belong to the states.
var starts = map[result.State]host.StartKind{result.NoCacheCold: host.Cold, result.NoCache: host.Warm,
	result.Cold: host.Cold, result.Warm: host.Warm, result.Thawed: host.Thawed, result.Restarted: host.Restarted}

// invoke runs and records an invocation. If its process had to be restarted, it records
// the state of that start.
func (d *Driver) invoke(ctx context.Context, s host.Sandbox, event []byte, state result.State) (host.Result, error) {
	var before origin.Counts
	if d.Calls != nil {
		before = d.Calls()
	}
	res, err := s.Invoke(ctx, event)
	if err != nil {
		return res, fmt.Errorf("%s: %w", state, err)
	}
	kind, known := starts[state]
	unexpected := known && kind != res.Start
	if unexpected && !d.Strict {
		state = result.State(res.Start.String())
	}
	sample := result.Sample{Took: res.Init + res.Duration, Status: status(res.Payload), Failed: res.FunctionError != nil}
	sample.Failed = sample.Failed || sample.Status >= 500
	if res.Streamed {
		sample.FirstByte = res.Init + res.FirstByte
	}
	if d.Calls != nil {
		sample.Calls = new(d.Calls().Sub(before))
	}
	d.record(state, sample)
	if d.Seen != nil {
		d.Seen(state, event, res)
	}
	same, first := d.compare(event, res)
	switch {
	case !d.Strict:
	case res.FunctionError != nil:
		err = fmt.Errorf("%w; the end of its output: %q", res.FunctionError, res.Output)
	case unexpected:
		err = fmt.Errorf("the start was %v instead of %v", res.Start, kind)
	case !same:
		err = fmt.Errorf("the answer differs from the first one:\n got %s\nwant %s", res.Payload, first)
	}
	if err != nil {
		err = fmt.Errorf("%s: event %s: %w", state, event, err)
	}
	return res, err
}

func (d *Driver) record(state result.State, s result.Sample) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.samples == nil {
		d.samples, d.answers = map[result.State][]result.Sample{}, map[string][]byte{}
	}
	d.samples[state] = append(d.samples[state], s)
}

// compare counts answers that are not the first one to the same event.
func (d *Driver) compare(event []byte, res host.Result) (same bool, first []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if res.FunctionError != nil {
		return true, nil
	}
	first, seen := d.answers[string(event)]
	if !seen {
		d.answers[string(event)] = res.Payload
	}
	same = !seen || d.Varies || bytes.Equal(first, res.Payload)
	if !same {
		d.differ++
	}
	return same, first
}

// Rows returns the figures so far, by state.
func (d *Driver) Rows() (rows result.Rows) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, state := range result.States {
		if samples := d.samples[state]; samples != nil {
			rows = append(rows, result.NewRow(d.Example, d.Host, state, samples))
		}
	}
	return rows
}

// status returns the status of an answer in the form of an HTTP response, else 0.
func status(answer []byte) int {
	var http struct {
		StatusCode int `json:"statusCode"`
	}
	if json.Unmarshal(answer, &http) != nil {
		return 0
	}
	return http.StatusCode
}
