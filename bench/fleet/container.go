package fleet

import (
	"math"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/clock"
)

// container is a warm process with its cache.
type container struct {
	sim   *simulation
	cache *cache.Cache[int, stamp]
	place int // Spread: where it is

	wallAhead   int64 // of the simulation's time
	monoStopped int64 // for how long its monotonic clock stood still

	busy      bool
	idleSince int64
	reclaimed int64 // when it is reclaimed, if it stays idle
	ends      int64 // when it ends, idle or not
}

// epoch is the wall time at which simulations begin.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// now returns the time by the clocks of the container.
func (c *container) now() clock.Instant {
	return clock.Instant{Wall: epoch + c.sim.now + c.wallAhead, Mono: c.sim.now - c.monoStopped}
}

// begin makes c busy.
func (c *container) begin(at int64) {
	if c.sim.MonoStops {
		c.monoStopped += at - c.idleSince
	}
	c.busy = true
}

// end makes c idle.
func (c *container) end(at int64) {
	c.busy, c.idleSince = false, at
	c.reclaimed = at + c.sim.idleTime()
}

// death returns when c ends if it stays idle.
func (c *container) death() int64 { return max(c.idleSince, min(c.reclaimed, c.ends)) }

func (c *container) dead(now int64) bool { return c.death() <= now }

const never = math.MaxInt64 / 2

// idleTime draws how long a container may be idle: half of them one IdleHalf, half of
// the rest two, and so on up to IdleMax.
func (s *simulation) idleTime() int64 {
	if s.IdleMax == 0 {
		return never
	}
	t := int64(s.IdleHalf)
	if t == 0 {
		return int64(s.IdleMax)
	}
	for t < int64(s.IdleMax) && s.rng.Uint64()&1 == 0 {
		t += int64(s.IdleHalf)
	}
	return min(t, int64(s.IdleMax))
}

// endOf draws when a container ends that was started at that time.
func (s *simulation) endOf(started int64) int64 {
	end := int64(never)
	if s.LifeMean > 0 {
		end = started + int64(s.rng.ExpFloat64()*float64(s.LifeMean))
	}
	if s.LifeMax > 0 {
		end = min(end, started+int64(s.LifeMax))
	}
	if deploy := int64(s.DeployAt); started < deploy {
		end = min(end, deploy)
	}
	return end
}

// start makes a container, with an empty cache of the real kind.
func (s *simulation) start(at int64) *container {
	c := &container{sim: s, idleSince: at, ends: s.endOf(at)}
	if s.ClockApart > 0 {
		c.wallAhead = s.rng.Int64N(int64(s.ClockApart) + 1)
	}
	s.now = at
	c.cache = cache.Must(s.newCache(c))
	s.Started++
	s.alive.add(at, 1)
	return c
}

// newCache makes the cache of c, with the clocks of c. Every cache of a simulation must
// be made here: another simulation's clocks may be installed at the moment.
func (s *simulation) newCache(c *container) (made *cache.Cache[int, stamp], err error) {
	clocks := clock.Virtual{Now: c.now, Random: s.dice.Float64}
	clocks.Make(func() { made, err = cache.New(s.options) })
	return made, err
}

// bury counts the operations of c and releases its cache.
func (s *simulation) bury(c *container, at int64) {
	s.alive.add(at, -1)
	s.count(c)
	c.cache = nil
}

// count adds the statistics of the cache of c.
func (s *simulation) count(c *container) {
	stats := c.cache.Stats()
	s.Hits += stats.Hits
	s.Misses += stats.Misses
	s.Loads += stats.Loads
	s.TierHits += stats.TierHits
	s.Evicted += stats.EvictedEntries
	s.tierFaults += stats.TierErrors + stats.TierRejected
}
