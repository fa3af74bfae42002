package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/result"
)

// driver takes a function through lives of its container and collects what it
// sees.
type driver struct {
	settings

	mu       sync.Mutex
	samples  map[result.State][]result.Sample
	failures map[string]int    // by message
	answers  map[string][]byte // the first one to each event
	differ   int               // answers other than the first
	uncaught bool              // a time-out was meant to happen and did not
}

func newDriver(s settings) *driver {
	return &driver{
		settings: s,
		samples:  map[result.State][]result.Sample{},
		failures: map[string]int{},
		answers:  map[string][]byte{},
	}
}

// timedOutRounds bounds the lives with a time-out, each of which takes as long as
// that is.
const timedOutRounds = 3

func (d *driver) drive(ctx context.Context) error {
	for round := range d.rounds {
		event := d.events[round%len(d.events)]
		if err := d.life(ctx, event); err != nil {
			return err
		}
		if round < timedOutRounds {
			if err := d.timedOut(ctx, event); err != nil {
				return err
			}
		}
	}
	if d.concurrency > 1 {
		return d.concurrent(ctx)
	}
	return nil
}

// sandbox is a new container.
func (d *driver) sandbox(concurrency int) (host.Sandbox, error) {
	if d.host == "openwhisk" {
		return host.OpenWhisk{Binary: d.binary, Args: d.args, Env: d.env, Timeout: d.timeout, Logs: d.logs}.Container()
	}
	return host.Lambda{Binary: d.binary, Args: d.args, Env: d.env, Timeout: d.timeout, InitTimeout: d.initTimeout,
		MemoryMB: d.memoryMB, Concurrency: concurrency, Logs: d.logs}.Environment()
}

// life is that of a container: cold, warm, frozen and thawed, crashed, ended.
func (d *driver) life(ctx context.Context, event []byte) error {
	s, err := d.sandbox(1)
	if err != nil {
		return err
	}
	defer s.Close()
	for range 1 + d.warm {
		if _, err := d.invoke(ctx, s, event, ""); err != nil {
			return err
		}
	}
	if err := s.Freeze(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if _, err := d.invoke(ctx, s, event, ""); err != nil {
		return err
	}
	s.Crash()
	_, err = d.invoke(ctx, s, event, "")
	return err
}

// timedOut has an invocation killed in its middle, and measures the next one. An
// OpenWhisk action then begins in a new container.
func (d *driver) timedOut(ctx context.Context, event []byte) error {
	s, err := d.sandbox(1)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := d.invoke(ctx, s, event, ""); err != nil {
		return err
	}
	res, err := timeOut(ctx, s, event)
	if err != nil {
		return err
	}
	if !res.Died {
		d.uncaught = true
		return nil
	}
	_, err = d.invoke(ctx, s, event, result.TimedOut)
	return err
}

// concurrent has several invocations at once in one process, until there were as
// many as warm ones.
func (d *driver) concurrent(ctx context.Context) error {
	s, err := d.sandbox(d.concurrency)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := d.invoke(ctx, s, d.events[0], ""); err != nil {
		return err
	}
	errs := make([]error, d.concurrency)
	var callers sync.WaitGroup
	for caller := range d.concurrency {
		callers.Go(func() {
			for i := range d.rounds {
				if errs[caller] == nil {
					_, errs[caller] = d.invoke(ctx, s, d.events[(caller+i)%len(d.events)], result.Concurrent)
				}
			}
		})
	}
	callers.Wait()
	return errors.Join(errs...)
}

// invoke runs and records an invocation. Its state is what the host found, unless
// there is more to say.
func (d *driver) invoke(ctx context.Context, s host.Sandbox, event []byte, state result.State) (host.Result, error) {
	res, err := s.Invoke(ctx, event)
	if err != nil {
		return res, err
	}
	if state == "" {
		state = stateOf(res.Start)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.samples[state] = append(d.samples[state], result.Sample{Took: res.Init + res.Duration, Failed: res.FunctionError != nil})
	d.note(event, res)
	return res, nil
}

// note keeps what is told below the table.
func (d *driver) note(event []byte, res host.Result) {
	if res.FunctionError != nil {
		d.failures[withoutID(res)]++
		return
	}
	first, seen := d.answers[string(event)]
	if !seen {
		d.answers[string(event)] = res.Payload
	} else if !bytes.Equal(first, res.Payload) {
		d.differ++
	}
}

// withoutID is the function's error; the id of the request in some of them would
// make each of them another one.
func withoutID(res host.Result) string {
	return string(bytes.ReplaceAll([]byte(res.FunctionError.Error()), []byte("RequestId: "+res.RequestID+" Error: "), nil))
}

func stateOf(k host.StartKind) result.State {
	switch k {
	case host.Cold:
		return result.Cold
	case host.Restarted:
		return result.Restarted
	case host.Thawed:
		return result.Thawed
	}
	return result.Warm
}

func (d *driver) rows() (rows result.Rows) {
	for _, state := range result.States {
		if samples := d.samples[state]; len(samples) > 0 {
			rows = append(rows, result.NewRow(d.name(), d.host, state, samples))
		}
	}
	return rows
}

// String says under which conditions it was measured.
func (s settings) String() string {
	text := fmt.Sprintf("%s, %d warm in each; %s; time-out %v", count(s.rounds, "round"), s.warm, count(len(s.events), "event"), s.timeout)
	if s.concurrency > 1 {
		text += fmt.Sprintf("; %d at once", s.concurrency)
	}
	return text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shownFailures bounds the list of errors.
const shownFailures = 5

func (d *driver) writeFindings(out io.Writer) {
	if d.differ > 0 {
		fmt.Fprintf(out, "\n%d answers were not the first one to the same event: a function whose answers do not vary by themselves\nanswers from something that it should not have kept.\n", d.differ)
	}
	if d.uncaught {
		fmt.Fprint(out, "\nNot every time-out came in the middle of an invocation: the function is too quick to be caught.\n")
	}
	if len(d.failures) > 0 {
		fmt.Fprint(out, "\nErrors of the function:\n")
	}
	for i, message := range slices.Sorted(maps.Keys(d.failures)) {
		if i == shownFailures {
			fmt.Fprintf(out, "  and %d more kinds\n", len(d.failures)-i)
			break
		}
		fmt.Fprintf(out, "  %5d  %.300s\n", d.failures[message], message)
	}
}
