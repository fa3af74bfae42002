//go:build unix

package redistier

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

func TestBreaker(t *testing.T) {
	clocks, b := clocktest.New(), &breaker{}
	let := func(want bool) (state uint64) {
		t.Helper()
		state, ok := b.allow(clocks.Now())
		if ok != want {
			t.Errorf("let through: %v; want %v", ok, want)
		}
		return state
	}
	first, second := let(true), let(true)
	b.Failure(first, clocks.Now())
	b.Failure(second, clocks.Now()) // was in flight: it does not count again
	for pause := minOpen; ; pause = min(2*pause, maxOpen) {
		let(false)
		clocks.Move(pause/2-1, pause/2-1)
		let(false)
		clocks.Move(0, pause/2+1) // either clock suffices
		probe := let(true)
		let(false) // one at a time
		if pause == maxOpen {
			break
		}
		b.Failure(probe, clocks.Now())
	}
	// The allowed call never ended, perhaps because it was frozen.
	clocks.Move(maxOpen, 0)
	let(true)
	b.Success(clocks.Now())
	b.Failure(let(true), clocks.Now())
	clocks.Move(minOpen, 0)
	let(true) // it begins anew
}

// Containers that saw the server fail at the same time do not try it at the same time.
func TestBreakersSpread(t *testing.T) {
	clocks, breakers, early := clocktest.New(), [64]breaker{}, 0
	for i := range breakers {
		breakers[i].Failure(0, clocks.Now())
	}
	clocks.Move(minOpen/4*3, minOpen/4*3)
	for i := range breakers {
		if _, ok := breakers[i].allow(clocks.Now()); ok {
			early++
		}
	}
	if early == 0 || early == len(breakers) {
		t.Errorf("%d of %d come early", early, len(breakers))
	}
}

// A clock that ran back has lost its count.
func TestBreakerAfterAStepBack(t *testing.T) {
	clocks, b := clocktest.New(), &breaker{}
	b.Failure(b.current(), clocks.Now())
	clocks.Move(-time.Hour, 0)
	if _, ok := b.allow(clocks.Now()); !ok {
		t.Error("open for an hour")
	}
}

// While the breaker is open, no call reaches the server; then one does.
func TestDeadServerIsLeftAlone(t *testing.T) {
	o, clocks := &origin{}, clocktest.New()
	client := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:" + freePort(t)}}))
	tier := newTier(t, patient(client))
	tier.clock = clocks.Clock()
	c := newCache(t, tier, o)
	n := 0
	ask := func(times int, failures, skipped int64) {
		t.Helper()
		for range times {
			n++
			wantGet(t, c, fmt.Sprint(n), fmt.Sprintf("%d v%d", n, n))
		}
		if s := tier.Stats(); s.Failures != failures || s.Skipped != skipped {
			t.Errorf("Stats = %+v; want %d failures, %d skipped", s, failures, skipped)
		}
	}
	ask(100, 1, 99)
	clocks.Move(0, minOpen)
	ask(100, 2, 198)
	clocks.Move(2*minOpen, 0)
	ask(100, 3, 297)
	if err := c.Invalidate(background, "1"); err == nil || errors.Is(err, ErrOpen) || tier.Stats().Failures != 4 {
		t.Errorf("Invalidate: %v", err)
	}
	if err := c.InvalidateMany(background, []string{"1", "2"}); err == nil || errors.Is(err, ErrOpen) || tier.Stats().Failures != 5 {
		t.Errorf("InvalidateMany: %v, %+v", err, tier.Stats())
	}
}

// Calls of a dead server leave no goroutines behind.
func TestNoGoroutinesAreLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	client := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:" + freePort(t)}}))
	tier, clocks := newTier(t, patient(client)), clocktest.New()
	tier.clock = clocks.Clock()
	for range 100 {
		if tier.Delete(background, "n") == nil {
			t.Fatal("no error")
		}
		clocks.Move(maxOpen, 0)
		if _, err := tier.GetMany(background, []string{"n", "m"}, nil); err == nil || err == ErrOpen {
			t.Fatal(err)
		}
	}
	goleak.VerifyNone(t, before)
}

// In a cluster the other nodes still serve.
func TestBreakersOfACluster(t *testing.T) {
	client := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}}))
	tier := newTier(t, Options{Client: client})
	a, b := tier.breaker("a"), tier.breaker("b")
	if a == b || a != tier.breaker("a") || a != tier.breaker("a}x") {
		t.Error("the breakers of names do not follow their slots")
	}
	a.Failure(a.current(), tier.clock.Now())
	if _, ok := b.allow(tier.clock.Now()); !ok {
		t.Error("the other one is open too")
	}
}
