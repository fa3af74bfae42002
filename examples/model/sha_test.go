package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/warmcache/warmcache/examples/model/table"
	"github.com/warmcache/warmcache/filecache"
)

// With a pinned SHA-256, S3 is not asked again, and a table with another checksum
// is an error.
func TestPinnedTable(t *testing.T) {
	good := table.Make(records)
	t.Setenv("MODEL_SHA256", fmt.Sprintf("%x", sha256.Sum256(good)))
	newProcessMaxAge(t.TempDir(), time.Nanosecond)
	invoke(t, "cold", "GET 200")
	invoke(t, "after MaxAge", "")

	defer store.Put("/models/prices-eu.bin", good)
	other := table.Make(records)
	other[8]++
	store.Put("/models/prices-eu.bin", other)
	invoke(t, "another table in S3", "")
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		if _, err := handle(t.Context(), some); !errors.Is(err, filecache.ErrChecksum) {
			t.Errorf("WARMCACHE=%s: error = %v", setting, err)
		}
	}
}
