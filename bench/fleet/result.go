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

	// How long a Get took.
	GetMean time.Duration `json:"get_mean_ns"`
	GetP50  time.Duration `json:"get_p50_ns"`
	GetP99  time.Duration `json:"get_p99_ns"`

	Started   int64 `json:"started"` // containers
	PeakAlive int   `json:"peak_alive"`
	PeakBusy  int   `json:"peak_busy"`

	Timeline []int32 `json:"timeline,omitempty"` // loads begun in each second
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

		AgeP50:  s.ages.percentile(50),
		AgeP99:  s.ages.percentile(99),
		AgeMax:  time.Duration(s.ageMax),
		OverTTL: s.overTTL,

		GetMean: s.times.mean(),
		GetP50:  s.times.percentile(50),
		GetP99:  s.times.percentile(99),

		Started:  s.started,
		PeakBusy: s.peakBusy,
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
