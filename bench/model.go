package main

import (
	"fmt"

	"github.com/warmcache/warmcache/examples/model/table"
)

const (
	modelBucket  = "models"
	modelKey     = "prices-eu.bin"
	modelRecords = 12 << 20 / table.RecordSize // 12 MiB
)

func modelEnv(o *origins) []string {
	return append(o.s3Env(), "MODEL_BUCKET="+modelBucket, "MODEL_KEY="+modelKey)
}

func modelEvent(round int) string {
	first := round * 7919 % modelRecords
	missing := table.ID(first) + 1
	return fmt.Sprintf(`{"ids":[%d,%d,%d]}`, table.ID(first), table.ID(modelRecords-1-first), missing)
}
