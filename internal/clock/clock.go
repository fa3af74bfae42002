// Package clock measures age in a process that may be frozen.
//
// When the cgroup freezer pauses a container, both clocks run on. A virtual machine
// that is paused or restored from a snapshot may find its monotonic clock unchanged,
// and the wall clock can be stepped at any time. No single clock can be trusted, so an
// [Instant] holds both, and a value is old as soon as either says so.
package clock

import (
	"context"
	"math"
	"time"
)

// Forever is a duration that never ends on any clock.
const Forever time.Duration = math.MaxInt64

// A Clock reads the wall and the monotonic clock together. Instants of
// different Clocks must not be compared. It is safe for concurrent use.
type Clock struct {
	base   time.Time      // the origin of the monotonic readings
	read   func() Instant // only in tests and simulations: readings that move apart
	random func() float64 // only in simulations
}

// New returns a Clock of the real time, or during [Virtual.Make] of the virtual one.
func New() *Clock {
	if v := virtual.Load(); v != nil {
		return &Clock{base: time.Now(), read: v.Now, random: v.Random}
	}
	return &Clock{base: time.Now()}
}

// NewFake returns a Clock that takes its readings from read.
func NewFake(read func() Instant) *Clock { return &Clock{base: time.Now(), read: read} }

// Now reads both clocks, with one call of time.Now: it costs no more than an expiry
// check by one clock.
func (c *Clock) Now() Instant {
	if c.read != nil {
		return c.read()
	}
	now := time.Now()
	return Instant{Wall: now.UnixNano(), Mono: int64(now.Sub(c.base))}
}

// NowTime returns the results of Now and time.Now, at the cost of one of them.
func (c *Clock) NowTime() (Instant, time.Time) {
	now := time.Now()
	if c.read != nil {
		return c.read(), now
	}
	return Instant{Wall: now.UnixNano(), Mono: int64(now.Sub(c.base))}, now
}

// Reached reports whether t has been reached on either clock. Times may have a
// monotonic reading (of context.WithTimeout) or none (of a deadline that a host
// announced).
func (c *Clock) Reached(t time.Time, now Instant) bool {
	if !time.Unix(0, now.Wall).Before(t) {
		return true
	}
	return hasMonotonic(t) && now.Mono >= int64(t.Sub(c.base))
}

// Err is ctx.Err, but it also detects a deadline that passed while the process was
// frozen: after a thaw ctx.Err is nil until the runtime's timers have run. It uses only
// the clock of the deadline: a step of the wall clock must not end a context that has
// time left.
func (c *Clock) Err(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	now := c.Now()
	if hasMonotonic(t) && now.Mono >= int64(t.Sub(c.base)) || !hasMonotonic(t) && !time.Unix(0, now.Wall).Before(t) {
		return context.DeadlineExceeded
	}
	return nil
}

func hasMonotonic(t time.Time) bool { return t != t.Round(0) }

// An Instant is one moment, read on both clocks, in nanoseconds.
type Instant struct {
	Wall int64 // since the Unix epoch
	Mono int64 // since the Clock was made
}

// Within reports whether now is less than d after i, on both clocks. If a clock ran
// back behind i, its count is lost, and Within returns false.
func (i Instant) Within(d time.Duration, now Instant) bool {
	if d == Forever {
		return true
	}
	// As unsigned numbers, readings before i are larger than any duration.
	return uint64(now.Wall-i.Wall) < uint64(d) && uint64(now.Mono-i.Mono) < uint64(d)
}
