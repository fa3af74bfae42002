package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/warmcache/warmcache/bench/fleet"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/conditions"
)

// Data is all that the page shows. What is nil is missing.
type Data struct {
	Examples result.File
	Prices   Prices
	Peers    *Peers
	Files    *Files
	Fleet    *Fleet
	Faults   *Faults
}

// Source is the file that something was read from.
type Source struct {
	File string `json:"-"`
}

// Peers is the file that the command bench/peers writes.
type Peers struct {
	Source
	Conditions conditions.Conditions `json:"conditions"`
	Cells      []Cell                `json:"cells"`
}

// Files is the file that the command bench/files writes.
type Files struct {
	Source
	Conditions conditions.Conditions `json:"conditions"`
	Measures   []struct {
		Name  string `json:"name"`
		Title string `json:"title"`
		Unit  string `json:"unit"`
	} `json:"measures"`
	Cells []Cell `json:"cells"`
}

// Cell is what was measured of one library.
type Cell struct {
	Measure string  `json:"measure"`
	Library string  `json:"library"`
	Way     string  `json:"contender"` // of bench/files, in place of a library
	Median  float64 `json:"median"`
	Min     float64 `json:"min"`
	Max     float64 `json:"max"`
	Ratio   float64 `json:"warmcache_over_this"`
}

// Fleet is the file that the command bench fleet writes.
type Fleet struct {
	Source
	fleet.Report
}

// Faults is the file that the command bench/peers/faults writes.
type Faults struct {
	Source
	Conditions conditions.Conditions `json:"conditions"`
	Cells      []FaultCell           `json:"cells"`
}

// FaultCell is what came of a case in a library.
type FaultCell struct {
	Case    string `json:"case"`
	Library string `json:"library"`
	Outcome string `json:"outcome"`
	Note    string `json:"note"`
}

// include reads a file of results and finds out by its members which one it is.
func (d *Data) include(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &members); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	source := Source{filepath.Base(file)}
	switch {
	case members["object_bytes"] != nil:
		d.Faults = &Faults{Source: source}
		err = json.Unmarshal(b, d.Faults)
	case members["targets"] != nil:
		d.Peers = &Peers{Source: source}
		err = json.Unmarshal(b, d.Peers)
	case members["measures"] != nil:
		d.Files = &Files{Source: source}
		err = json.Unmarshal(b, d.Files)
	case members["stampede"] != nil:
		d.Fleet = &Fleet{Source: source}
		err = json.Unmarshal(b, &d.Fleet.Report)
	default:
		err = errors.New("these are not results of bench/peers, bench/peers/faults, bench/files or bench fleet")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
