package redistier

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// call makes a call of the server about n names, unless the breaker is open.
func (t *Tier) call(ctx context.Context, b *breaker, n int, do func(context.Context) error) error {
	generation, ok := b.allow(t.clock.Now())
	if !ok {
		t.stats.skipped.Add(1)
		return ErrOpen
	}
	return t.try(ctx, b, generation, n, do)
}

// try makes a call of the server, if ctx leaves time for it. A lack of time says nothing
// about the server.
func (t *Tier) try(ctx context.Context, b *breaker, generation uint64, n int, do func(context.Context) error) error {
	ctx, cancel := t.timed(ctx, n, b.connected(t.clock.Now()))
	defer cancel()
	if err := t.clock.Err(ctx); err != nil {
		return withoutSecrets(err)
	}
	err := do(ctx)
	t.note(ctx, b, generation, err)
	return t.fault(err)
}

// timed returns the context for a call about n names.
func (t *Tier) timed(ctx context.Context, n int, connected bool) (context.Context, context.CancelFunc) {
	timeout := t.opts.Timeout
	if !connected {
		timeout = t.opts.ConnectTimeout
	}
	return context.WithTimeout(ctx, timeout*time.Duration(1+(n-1)/50))
}

// note tells the breaker how a call went.
func (t *Tier) note(ctx context.Context, b *breaker, generation uint64, err error) {
	switch {
	case err == nil, isAboutKey(err):
		b.Success(t.clock.Now())
	case ctx.Err() == context.Canceled: // the caller gave up
	default:
		b.Failure(generation, t.clock.Now())
	}
}

// fault counts err and returns it without secrets.
func (t *Tier) fault(err error) error {
	if err == nil {
		return nil
	}
	safe := withoutSecrets(err) // in a variable of its own, or every call would allocate err
	t.stats.failures.Add(1)
	t.stats.last.Store(&safe)
	return safe
}

// Stats counts events of a [Tier] since [New].
type Stats struct {
	Failures int64 // calls of the server that failed
	Skipped  int64 // calls that were not made after earlier failures: see ErrOpen
	Leases   int64 // leases that the server granted to this process
	Waits    int64 // pauses while another process held the lease of a key
	Last     error // the last failure, or nil; without addresses and passwords
}

type counters struct {
	failures, skipped, leases, waits atomic.Int64
	last                             atomic.Pointer[error]
}

// Stats returns the counts so far.
func (t *Tier) Stats() Stats {
	s := Stats{
		Failures: t.stats.failures.Load(),
		Skipped:  t.stats.skipped.Load(),
		Leases:   t.stats.leases.Load(),
		Waits:    t.stats.waits.Load(),
	}
	if last := t.stats.last.Load(); last != nil {
		s.Last = *last
	}
	return s
}

// ErrOpen is the error of a call that was not made because others failed shortly before.
var ErrOpen = errors.New("redistier: the server failed shortly before, and is not called yet")
