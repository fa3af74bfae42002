package fleet

import (
	"fmt"
	"time"
)

// Result has the figures of a variant. The caches themselves counted Hits, Misses,
// Loads, TierHits and Evicted.
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
	PeakInFlight   float64 `json:"peak_in_flight"`   // loads at once, the mean over the worst second for that

	// The ages of the answers. AgeMax is the maximum over answers that were not just
	// loaded; OverTTL counts the answers among them that were too old.
	AgeP50  time.Duration `json:"age_p50_ns"`
	AgeP99  time.Duration `json:"age_p99_ns"`
	AgeMax  time.Duration `json:"age_max_ns"`
	OverTTL int64         `json:"over_ttl"`

	// The duration of a Get.
	GetMean time.Duration `json:"get_mean_ns"`
	GetP99  time.Duration `json:"get_p99_ns"`

	Started   int64 `json:"started"` // containers
	PeakAlive int   `json:"peak_alive"`
	PeakBusy  int   `json:"peak_busy"`

	Timeline []int32 `json:"timeline,omitempty"` // loads begun in each second
}

// result computes the figures that follow from the counts.
func (s *simulation) result(v Variant) (*Result, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	r := &s.Result
	r.Variant, r.TierCalls, r.Timeline = v.Name, s.tierCalls(), s.begun
	r.HitRatio, r.LoadRatio, r.LoadsPerSecond = part(r.Hits, r.Requests), part(r.Loads, r.Requests), float64(r.Loads)/s.For.Seconds()
	r.AgeP50, r.AgeP99, r.AgeMax = s.ages.percentile(50), s.ages.percentile(99), time.Duration(s.ageMax)
	r.GetMean, r.GetP99 = s.times.mean(), s.times.percentile(99)
	r.PeakLoads, r.PeakInFlight, r.PeakAlive = int(s.begun.peak()), float64(s.inFlight.peak())*slice.Seconds(), int(s.alive.sums().peak())
	return r, nil
}

// check compares the counts of the caches with those of the simulation.
func (s *simulation) check() error {
	switch {
	case s.Hits+s.Misses != s.Requests:
		return fmt.Errorf("fleet: the caches count %d hits and %d misses, of %d requests", s.Hits, s.Misses, s.Requests)
	case s.Hits != s.hitsSeen:
		return fmt.Errorf("fleet: the caches count %d hits, but %d Gets called neither Load nor the tier", s.Hits, s.hitsSeen)
	case s.Loads != s.loadsSeen || s.Loads+s.TierHits != s.Misses:
		return fmt.Errorf("fleet: the caches count %d loads and %d answers of the tier for %d misses; there were %d loads", s.Loads, s.TierHits, s.Misses, s.loadsSeen)
	case s.tierFaults > 0:
		return fmt.Errorf("fleet: the caches count %d faults of a tier that has none", s.tierFaults)
	}
	return nil
}
