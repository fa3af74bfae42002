package fleet

import (
	"fmt"
	"time"
)

// Result is what a variant did. Hits, Misses, Loads, TierHits and Evicted are what the
// caches counted themselves.
type Result struct {
	Variant string `json:"variant"`

	Requests  int64   `json:"requests"` // handled, with one Get each
	Throttled int64   `json:"throttled"`
	Hits      int64   `json:"hits"` // from memory
	Misses    int64   `json:"misses"`
	TierHits  int64   `json:"tier_hits"`
	TierCalls int64   `json:"tier_calls"`
	Loads     int64   `json:"loads"`
	Evicted   int64   `json:"evicted"`
	HitRatio  float64 `json:"hit_ratio"`  // of memory
	LoadRatio float64 `json:"load_ratio"` // loads per request

	// The load of the origin.
	LoadsPerSecond float64 `json:"loads_per_second"` // the mean
	PeakLoads      int     `json:"peak_loads"`       // of the worst second
	PeakAt         int     `json:"peak_at"`          // which that is
	PeakInFlight   float64 `json:"peak_in_flight"`   // loads at once, the mean over the worst second for that

	// How old the answers were. AgeMax is over those that were not just loaded; OverTTL
	// counts those of them that were too old.
	AgeP50  time.Duration `json:"age_p50_ns"`
	AgeP99  time.Duration `json:"age_p99_ns"`
	AgeMax  time.Duration `json:"age_max_ns"`
	OverTTL int64         `json:"over_ttl"`
	AgeCDF  []float64     `json:"age_cdf"` // part of the answers younger than each hundredth of TTL, from 0 to 1

	// How long a Get took.
	GetMean time.Duration `json:"get_mean_ns"`
	GetP50  time.Duration `json:"get_p50_ns"`
	GetP99  time.Duration `json:"get_p99_ns"`

	Started   int64 `json:"started"` // containers
	PeakAlive int   `json:"peak_alive"`
	PeakBusy  int   `json:"peak_busy"`

	Cost Cost `json:"cost"`

	Timeline []int32 `json:"timeline,omitempty"` // loads begun in each second
}

// Cost is what the loads cost, and what they would without a cache, for the whole run.
// Functions are paid while they wait.
type Cost struct {
	Database        float64 `json:"database_usd"`
	DatabaseWithout float64 `json:"database_without_usd"`
	Waiting         float64 `json:"waiting_usd"`
	WaitingWithout  float64 `json:"waiting_without_usd"`
	Tier            float64 `json:"tier_usd"`
}

// Saved is what the cache saves.
func (c Cost) Saved() float64 {
	return c.DatabaseWithout + c.WaitingWithout - c.Database - c.Waiting - c.Tier
}

func (s *simulation) result(v Variant) (*Result, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	r := &Result{
		Variant:   v.Name,
		Requests:  s.requests,
		Throttled: s.throttled,
		Hits:      s.hits,
		Misses:    s.misses,
		TierHits:  s.tierHits,
		TierCalls: s.tierCalls(),
		Loads:     s.loads,
		Evicted:   s.evicted,
		HitRatio:  part(s.hits, s.requests),
		LoadRatio: part(s.loads, s.requests),

		LoadsPerSecond: float64(s.loads) / s.For.Seconds(),

		AgeP50:  s.ages.percentile(0.50),
		AgeP99:  s.ages.percentile(0.99),
		AgeMax:  time.Duration(s.ages.max),
		OverTTL: s.ages.over,
		AgeCDF:  s.ages.cumulative(),

		GetMean: time.Duration(s.waited / max(s.requests, 1)),
		GetP50:  s.times.percentile(0.50),
		GetP99:  s.times.percentile(0.99),

		Started:  s.started,
		PeakBusy: s.peakBusy,
		Cost:     s.cost(v),
		Timeline: s.begun,
	}
	loads, at := s.begun.peak()
	inFlight, _ := s.inFlight.peak()
	alive, _ := s.alive.sums().peak()
	r.PeakLoads, r.PeakAt, r.PeakInFlight, r.PeakAlive = int(loads), at, float64(inFlight)*slice.Seconds(), int(alive)
	return r, nil
}

// check compares what the caches counted with what was seen from outside.
func (s *simulation) check() error {
	switch {
	case s.hits+s.misses != s.requests:
		return fmt.Errorf("fleet: the caches count %d hits and %d misses, of %d requests", s.hits, s.misses, s.requests)
	case s.hits != s.hitsSeen:
		return fmt.Errorf("fleet: the caches count %d hits, but %d Gets asked nobody", s.hits, s.hitsSeen)
	case s.loads != s.loadsSeen || s.loads+s.tierHits != s.misses:
		return fmt.Errorf("fleet: the caches count %d loads and %d answers of the tier for %d misses; there were %d loads", s.loads, s.tierHits, s.misses, s.loadsSeen)
	case s.tierFaults > 0:
		return fmt.Errorf("fleet: the caches count %d faults of a tier that has none", s.tierFaults)
	}
	return nil
}

func (s *simulation) cost(v Variant) Cost {
	call := s.Prices.DatabaseCalls / 1e6
	second := s.Prices.GBSecond * float64(s.Prices.MemoryMB) / 1024
	c := Cost{
		Database:        call * float64(s.loads),
		DatabaseWithout: call * float64(s.requests),
		Waiting:         second * time.Duration(s.waited).Seconds(),
		WaitingWithout:  second * s.Database.mean().Seconds() * float64(s.requests),
	}
	if v.Tier {
		c.Tier = s.Prices.TierHour * s.For.Hours()
	}
	return c
}
