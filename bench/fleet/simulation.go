package fleet

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// simulation is one run of one variant.
type simulation struct {
	*Config
	now     int64      // the virtual time, in nanoseconds since the begin
	rng     *rand.Rand // of latencies and containers
	dice    *rand.Rand // of the caches
	options cache.Options[int, stamp]
	events  events
	pool    pool
	tier    *tier // may be nil

	loadsOfGet int // of the Get under way

	Result // counts of the caches and of the containers; result computes the other figures

	tierFaults, hitsSeen, loadsSeen int64 // faults that the caches counted; hits and loads that the simulation counted

	busy         int
	ages         histogram // of answers
	ageMax       int64     // of the answers that were not just loaded
	times        histogram // of Gets
	begun, alive timeline
	inFlight     timeline // slices of loads
}

func newSimulation(c *Config, v Variant) *simulation {
	s := &simulation{
		Config: c,
		rng:    rand.New(rand.NewPCG(c.Seed, 2)),
		dice:   rand.New(rand.NewPCG(c.Seed, 3)),
		ages:   newHistogram(),
		times:  newHistogram(),
	}
	s.options = cache.Options[int, stamp]{Load: s.load, TTL: c.TTL, MaxEntries: c.Entries}
	if v.Jitter {
		s.options.Jitter = c.Jitter
	}
	if v.Tier {
		s.tier = &tier{sim: s, leases: v.Lease, names: map[string]*name{}}
		s.options.Tier, s.options.Namespace, s.options.Codec = s.tier, "fleet", stampCodec
		s.options.ClockSkew = c.ClockSkew
		s.options.TierTimeout = time.Hour // real time, which the simulation does not use
	}
	switch c.Routing {
	case MostRecent:
		s.pool = &recent{sim: s}
	case Spread:
		s.pool = &spread{sim: s, rng: rand.New(rand.NewPCG(c.Seed, 4)), places: make([]*container, c.Containers)}
	}
	return s
}

// Run simulates one variant. It is deterministic: the same Config, with its Seed,
// gives the same Result.
func Run(ctx context.Context, c Config, v Variant) (*Result, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	s := newSimulation(&c, v)
	if _, err := s.newCache(&container{sim: s}); err != nil { // package cache refuses the Config
		return nil, fmt.Errorf("fleet: %s: %w", v.Name, err)
	}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	return s.result(v)
}

func (s *simulation) run(ctx context.Context) error {
	requests := newRequests(s.Config)
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		at, key := requests.next()
		if at >= int64(s.For) {
			break
		}
		s.events.run(at)
		s.arrive(at, key)
	}
	s.events.run(math.MaxInt64)
	for _, c := range s.pool.rest() {
		s.count(c)
	}
	return ctx.Err()
}

// arrive gives a request to a container.
func (s *simulation) arrive(at int64, key int) {
	c, started := s.pool.take(at)
	if c == nil {
		s.Throttled++
		return
	}
	s.busy++
	s.PeakBusy = max(s.PeakBusy, s.busy)
	c.begin(at)
	if !started {
		s.handle(c, key, at)
		return
	}
	ready := at + s.Init.draw(s.rng)
	s.events.push(ready, func() { s.handle(c, key, ready) })
}

// handle runs a request, which begins with its Get.
func (s *simulation) handle(c *container, key int, at int64) {
	s.now, s.loadsOfGet = at, 0
	tierHits := s.tierCalls()
	v, err := c.cache.Get(context.Background(), key)
	if err != nil {
		panic(err) // no Load and no call of the tier fails
	}
	s.Requests++
	s.note(at, int64(v), s.tierCalls() == tierHits)
	done := s.now + s.Handler.draw(s.rng)
	s.events.push(done, func() {
		s.busy--
		c.end(done)
		s.pool.put(c)
	})
}

func (s *simulation) tierCalls() int64 {
	if s.tier == nil {
		return 0
	}
	return s.tier.calls
}

// note counts a Get that has just returned. Without a load or a call of the tier it was
// a hit.
func (s *simulation) note(began, loaded int64, noTier bool) {
	s.times.add(s.now - began)
	if noTier && s.loadsOfGet == 0 {
		s.hitsSeen++
	}
	age := s.now - loaded
	s.ages.add(age)
	if s.loadsOfGet > 0 {
		return // from the caller's own Load: no value can be younger
	}
	s.ageMax = max(s.ageMax, age)
	if age >= int64(s.TTL) {
		s.OverTTL++
	}
}

// load is the Load of all caches.
func (s *simulation) load(context.Context, int) (stamp, error) {
	began := s.now
	s.now += s.Database.draw(s.rng)
	s.loadsOfGet++
	s.loadsSeen++
	s.begun.add(began, 1)
	s.inFlight.spread(began, s.now)
	return stamp(began), nil
}
