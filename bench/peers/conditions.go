package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// module is the path of this one.
const module = "github.com/warmcache/warmcache/bench/peers"

// conditions are what the figures depend on besides the libraries.
type conditions struct {
	Go         string            `json:"go"`
	Platform   string            `json:"platform"`
	CPU        string            `json:"cpu"`
	CPUs       int               `json:"cpus"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	LoadBefore string            `json:"load_before"`
	LoadAfter  string            `json:"load_after"`
	Rounds     int               `json:"rounds"`
	SampleMS   int64             `json:"sample_ms"`
	Quick      bool              `json:"quick"`
	Libraries  map[string]string `json:"libraries"` // their versions
}

func newConditions(s settings) conditions {
	return conditions{
		Go:         runtime.Version(),
		Platform:   runtime.GOOS + "/" + runtime.GOARCH,
		CPU:        cpuModel(),
		CPUs:       runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		LoadBefore: loadAverage(),
		Rounds:     s.rounds,
		SampleMS:   s.sampleTime().Milliseconds(),
		Quick:      s.quick,
		Libraries:  versions(),
	}
}

func versions() map[string]string {
	v := make(map[string]string)
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return v
	}
	for _, m := range info.Deps {
		for _, part := range []string{"otter", "theine", "ristretto", "ttlcache", "sturdyc", "go-cache", "golang-lru", "x/sync"} {
			if strings.Contains(m.Path, part) {
				v[m.Path] = m.Version
			}
		}
	}
	return v
}

// cpuModel and loadAverage know Linux only.
func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown CPU"
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}
