package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/warmcache/warmcache/bench/result"
)

// Data is all that the page shows. What is nil is missing.
type Data struct {
	Examples result.File
	Prices   Prices
	Peers    *Peers
	Fleet    *Fleet
	Faults   *Faults
}

// Source is the file that something was read from.
type Source struct {
	File     string    `json:"-"`
	Modified time.Time `json:"-"`
}

// Peers is the file that the command bench/peers writes.
type Peers struct {
	Source
	Conditions struct {
		Go        string            `json:"go"`
		Platform  string            `json:"platform"`
		CPU       string            `json:"cpu"`
		CPUs      int               `json:"cpus"`
		Rounds    int               `json:"rounds"`
		SampleMS  int               `json:"sample_ms"`
		Quick     bool              `json:"quick"`
		Libraries map[string]string `json:"libraries"`
	} `json:"conditions"`
	Cells []Cell `json:"cells"`
}

// Cell is what was measured of one library.
type Cell struct {
	Measure string  `json:"measure"`
	Library string  `json:"library"`
	Median  float64 `json:"median"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Ratio   float64 `json:"warmcache_over_this"`
}

// Fleet is the file that the command bench fleet writes.
type Fleet struct {
	Source
	Config   FleetConfig   `json:"config"`
	Results  []FleetResult `json:"results"`
	Rates    []RatePoint   `json:"rates"`
	Stampede struct {
		Config  FleetConfig   `json:"config"`
		Results []FleetResult `json:"results"`
	} `json:"stampede"`
}

// FleetConfig is the part of it that is shown.
type FleetConfig struct {
	For        time.Duration `json:"for_ns"`
	TTL        time.Duration `json:"ttl_ns"`
	Rate       float64       `json:"rate"`
	Containers int           `json:"containers"`
	Products   int           `json:"products"`
	Tenants    int           `json:"tenants"`
	Arrivals   string        `json:"arrivals"`
	DeployAt   time.Duration `json:"deploy_at"`
	Seed       uint64        `json:"seed"`
}

// UnmarshalJSON takes durations by either of their names.
func (c *FleetConfig) UnmarshalJSON(b []byte) error {
	type plain FleetConfig
	named := struct {
		*plain
		TTL2      time.Duration `json:"ttl"`
		DeployAt2 time.Duration `json:"deploy_at_ns"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(b, &named); err != nil {
		return err
	}
	c.TTL, c.DeployAt = max(c.TTL, named.TTL2), max(c.DeployAt, named.DeployAt2)
	return nil
}

// FleetResult is what a variant did.
type FleetResult struct {
	Variant        string        `json:"variant"`
	Requests       int64         `json:"requests"`
	HitRatio       float64       `json:"hit_ratio"`
	LoadRatio      float64       `json:"load_ratio"`
	LoadsPerSecond float64       `json:"loads_per_second"`
	PeakLoads      int           `json:"peak_loads"`
	AgeP99         time.Duration `json:"age_p99_ns"`
	OverTTL        int64         `json:"over_ttl"`
	GetP50         time.Duration `json:"get_p50_ns"`
	GetP99         time.Duration `json:"get_p99_ns"`
	AgeCDF         []float64     `json:"age_cdf"`
	Timeline       []int32       `json:"timeline"`
}

// RatePoint is the hit ratio at an arrival rate.
type RatePoint struct {
	Rate     float64       `json:"rate"`
	TTL      time.Duration `json:"ttl_ns"`
	HitRatio float64       `json:"hit_ratio"`
}

// Faults is what libraries do in cases where things go wrong: a member "faults"
// with the cases, each with a verdict by library.
type Faults struct {
	Source
	Conditions struct {
		Go       string `json:"go"`
		Platform string `json:"platform"`
		Date     string `json:"date"`
		Command  string `json:"command"`
	} `json:"conditions"`
	Libraries []string `json:"libraries"`
	Cases     []Fault  `json:"faults"`
}

// Fault is one case. A verdict that begins with "ok" is what one would wish.
type Fault struct {
	Case     string            `json:"case"`
	Verdicts map[string]string `json:"verdicts"`
}

// include reads a file of results and finds out by its members which one it is.
func (d *Data) include(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &members); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	source := Source{filepath.Base(file), info.ModTime()}
	switch {
	case members["cells"] != nil:
		d.Peers = &Peers{Source: source}
		err = json.Unmarshal(b, d.Peers)
	case members["stampede"] != nil:
		d.Fleet = &Fleet{Source: source}
		err = json.Unmarshal(b, d.Fleet)
	case members["faults"] != nil:
		d.Faults = &Faults{Source: source}
		err = json.Unmarshal(b, d.Faults)
	default:
		err = errors.New("these are not results of bench/peers, bench fleet or a fault matrix")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
