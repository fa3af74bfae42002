package clock_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

func TestWithin(t *testing.T) {
	start := clock.Instant{Wall: 1_000_000_000, Mono: 500}
	for _, tt := range []struct {
		name       string
		ttl        time.Duration
		wall, mono time.Duration
		want       bool
	}{
		{"at once", 1, 0, 0, true},
		{"last moment", 100, 99, 99, true},
		{"exact deadline", 100, 100, 100, false},
		{"wall passed, monotonic stopped", 100, 100, 0, false},
		{"monotonic passed, wall stopped", 100, 0, 100, false},
		{"wall ran back", 100, -1, 1, false},
		{"monotonic ran back", 100, 1, -1, false},
		{"forever, long after", clock.Forever, math.MaxInt64 / 2, math.MaxInt64 / 2, true},
		{"forever, wall ran back", clock.Forever, -5, 0, true},
		{"as good as forever", clock.Forever - 1, time.Hour, time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := clock.Instant{Wall: start.Wall + int64(tt.wall), Mono: start.Mono + int64(tt.mono)}
			if got := start.Within(tt.ttl, now); got != tt.want {
				t.Errorf("Within(%v) after wall %v, mono %v = %v, want %v", tt.ttl, tt.wall, tt.mono, got, tt.want)
			}
		})
	}
}

func TestNowReadsBothClocks(t *testing.T) {
	c := clock.New()
	a, before := c.Now(), time.Now()
	if d := before.UnixNano() - a.Wall; d < 0 || d > int64(time.Minute) {
		t.Errorf("wall reading is %v off", time.Duration(d))
	}
	if b := c.Now(); b.Mono < a.Mono {
		t.Errorf("monotonic reading ran back from %d to %d", a.Mono, b.Mono)
	}
}

func TestReached(t *testing.T) {
	clocks := clocktest.New()
	c := clocks.Clock()
	withMono := time.Now().Add(time.Minute)
	wallOnly := withMono.Round(0)
	far := time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC) // beyond the range of UnixNano

	for _, tt := range []struct {
		name       string
		t          time.Time
		wall, mono time.Duration
		want       bool
	}{
		{"not yet", withMono, 0, 0, false},
		{"by the wall clock alone", withMono, 2 * time.Minute, 0, true},
		{"by the monotonic clock alone", withMono, 0, 2 * time.Minute, true},
		{"wall only: not yet", wallOnly, 0, time.Hour, false},
		{"wall only: reached", wallOnly, 2 * time.Minute, 0, true},
		{"year 3000", far, time.Hour, time.Hour, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := clocks.Now()
			now.Wall += int64(tt.wall)
			now.Mono += int64(tt.mono)
			if got := c.Reached(tt.t, now); got != tt.want {
				t.Errorf("Reached = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestErrSeesDeadlineBeforeTimersRan(t *testing.T) {
	clocks := clocktest.New()
	c := clocks.Clock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := c.Err(ctx); err != nil {
		t.Fatalf("Err before the deadline = %v", err)
	}
	clocks.Move(2*time.Hour, 0) // a step of the wall clock takes no time away
	if err := c.Err(ctx); err != nil {
		t.Errorf("Err after a step of the wall clock = %v", err)
	}
	wallOnly := untimed{ctx, time.Unix(0, clocks.Now().Wall).Add(time.Minute)} // as hosts announce it
	if err := c.Err(wallOnly); err != nil {
		t.Errorf("Err before a deadline on the wall = %v", err)
	}
	clocks.Move(time.Minute, 0)
	if err := c.Err(wallOnly); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Err at a deadline on the wall = %v", err)
	}
	clocks.Move(0, 2*time.Hour) // the process was frozen: no timer has run
	if err := ctx.Err(); err != nil {
		t.Fatalf("ctx.Err = %v: the test is not about timers any more", err)
	}
	if err := c.Err(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Err after the deadline = %v, want %v", err, context.DeadlineExceeded)
	}
	cancelled, cancel2 := context.WithCancel(context.Background())
	cancel2()
	if err := c.Err(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Err of a cancelled context = %v", err)
	}
}

// untimed is a context whose deadline no timer watches.
type untimed struct {
	context.Context
	deadline time.Time
}

func (u untimed) Deadline() (time.Time, bool) { return u.deadline, true }

// A deadline is reached at its exact instant, on each clock separately.
func TestReachedExactly(t *testing.T) {
	clocks := clocktest.New()
	c := clocks.Clock()
	now := clocks.Now()
	if !c.Reached(time.Unix(0, now.Wall), now) {
		t.Error("the wall clock shows the deadline")
	}
	if c.Reached(time.Unix(0, now.Wall+1), now) {
		t.Error("a nanosecond is left")
	}
	// This is for the monotonic clock alone. The base of a real clock is unknown
	// outside, so walk to it.
	real := clock.New()
	at := real.Now()
	deadline := time.Now()
	late := at
	late.Wall = deadline.Add(-time.Hour).UnixNano() // the wall clock stepped back
	late.Mono = at.Mono + int64(time.Minute)
	if !real.Reached(deadline, late) {
		t.Error("the monotonic clock is past the deadline")
	}
}

// The monotonic reading counts from the making of the Clock, not from 1970.
func TestMonoIsNotWall(t *testing.T) {
	if m := clock.New().Now().Mono; m < 0 || m > int64(time.Minute) {
		t.Errorf("Mono = %d", m)
	}
}
