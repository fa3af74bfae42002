package redistier

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// call makes a call of the server about n names with that breaker, unless it is open.
func (t *Tier) call(ctx context.Context, b *breaker, n int, do func(context.Context) error) error {
	seen, ok := b.allow(t.clock.Now())
	if !ok {
		t.stats.skipped.Add(1)
		return ErrOpen
	}
	return t.try(ctx, b, seen, n, do)
}

// try makes a call of the server, if there is time for it: that there is none tells
// nothing about the server.
func (t *Tier) try(ctx context.Context, b *breaker, seen uint64, n int, do func(context.Context) error) error {
	ctx, cancel := t.timed(ctx, n)
	defer cancel()
	if err := t.clock.Err(ctx); err != nil {
		return withoutSecrets(err)
	}
	err := do(ctx)
	t.note(ctx, b, seen, err)
	return t.fault(err)
}

// timed is the context for a call about n names.
func (t *Tier) timed(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	timeout := t.opts.Timeout
	if !t.connected.Load() {
		timeout = t.opts.ConnectTimeout
	}
	return context.WithTimeout(ctx, timeout*time.Duration(1+(n-1)/50))
}

// note tells the breaker how a call went.
func (t *Tier) note(ctx context.Context, b *breaker, seen uint64, err error) {
	switch {
	case err == nil, redis.IsOOMError(err): // what is full answers quickly, and can be read
		t.connected.Store(true)
		b.succeeded()
	case ctx.Err() == context.Canceled: // it is the caller that gave up
	default:
		b.failed(seen, t.clock.Now())
	}
}

// fault is the error that a caller gets, and that is counted.
func (t *Tier) fault(err error) error {
	if err == nil {
		return nil
	}
	safe := withoutSecrets(err) // a variable of its own: a call that succeeds must not allocate it
	t.stats.failures.Add(1)
	t.stats.last.Store(&safe)
	return safe
}

// Stats counts what a Tier did since New.
type Stats struct {
	Failures int64 // calls of the server that failed
	Skipped  int64 // calls that were not made, since others had failed
	Leases   int64 // keys that this process was to load for all
	Waits    int64 // times it waited for what another one loads
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

// ErrOpen is the error of a call that is not made because others have failed.
var ErrOpen = errors.New("redistier: the server has failed, and is not asked for a while")
