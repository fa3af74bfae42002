package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/warmcache/warmcache/internal/conditions"
)

// module is the path of this one.
const module = "github.com/warmcache/warmcache/bench/peers"

// circumstances are what the figures depend on.
type circumstances struct {
	conditions.Conditions
	GOMAXPROCS int    `json:"gomaxprocs"`
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

func newConditions(s settings) circumstances {
	set := fmt.Sprintf("%d interleaved rounds of samples of %v, order rotated", s.rounds, s.sampleTime())
	if s.quick {
		set += ", quick and so no more than a hint"
	}
	return circumstances{
		Conditions: conditions.Here("go run ./bench/peers", os.Args[1:], set,
			"otter", "theine", "ristretto", "ttlcache", "sturdyc", "go-cache", "golang-lru", "x/sync"),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		LoadBefore: conditions.LoadAverage(),
	}
}
