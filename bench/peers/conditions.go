package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	here "github.com/warmcache/warmcache/bench/peers/internal/conditions"
)

// module is the path of this one.
const module = "github.com/warmcache/warmcache/bench/peers"

// conditions are what the figures depend on.
type conditions struct {
	here.Conditions
	GOMAXPROCS int    `json:"gomaxprocs"`
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

func newConditions(s settings) conditions {
	set := fmt.Sprintf("%d interleaved rounds of samples of %v, order rotated", s.rounds, s.sampleTime())
	if s.quick {
		set += ", quick and so no more than a hint"
	}
	return conditions{
		Conditions: here.Here("go run ./bench/peers", set,
			"otter", "theine", "ristretto", "ttlcache", "sturdyc", "go-cache", "golang-lru", "x/sync"),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		LoadBefore: loadAverage(),
	}
}

// loadAverage knows Linux only.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], " ")
}
