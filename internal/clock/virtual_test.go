package clock_test

import (
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

func TestVirtual(t *testing.T) {
	now := clock.Instant{Wall: 7, Mono: 3}
	v := &clock.Virtual{Now: func() clock.Instant { return now }, Random: func() float64 { return 0.25 }}
	var c *clock.Clock
	v.Make(func() { c = clock.New() })
	if got := c.Now(); got != now {
		t.Errorf("Now = %v, want %v", got, now)
	}
	now.Wall++
	if got := c.Now(); got != now {
		t.Errorf("Now = %v after its time moved, want %v", got, now)
	}
	if got := c.Float64(); got != 0.25 {
		t.Errorf("Float64 = %v", got)
	}

	real := clock.New()
	if d := time.Since(time.Unix(0, real.Now().Wall)); d < -time.Minute || d > time.Minute {
		t.Errorf("a Clock made after Make is %v off", d)
	}
	if r := real.Float64(); r < 0 || r >= 1 {
		t.Errorf("Float64 = %v", r)
	}
}

// A panic in Make ends the virtual time.
func TestVirtualAfterPanic(t *testing.T) {
	v := &clock.Virtual{Now: func() clock.Instant { return clock.Instant{} }}
	func() {
		defer func() { recover() }()
		v.Make(func() { panic("made nothing") })
	}()
	if clock.New().Now() == (clock.Instant{}) {
		t.Error("New makes virtual clocks")
	}
	v.Make(func() {}) // Make works again
}
