package fleet

import (
	"fmt"
	"sync"
	"time"
)

// productKey is a product of a tenant.
type productKey struct {
	Tenant string `json:"tenant"`
	SKU    string `json:"sku"`
}

// product is what catalog answers, with its key to tell if it is somebody else's.
type product struct {
	productKey
	Version int64 `json:"unit_cents"`
}

// history is what the database had when, to check answers by.
type history struct {
	mu   sync.Mutex
	rows map[productKey]*versions
}

// versions of a row are numbered from 1.
type versions struct {
	begun int64       // the last one that the database was told of
	gone  []time.Time // when the next one was there for certain, by version-1
}

func newHistory() *history { return &history{rows: map[productKey]*versions{}} }

// begin is called before a row changes, and end when it has.
func (h *history) begin(k productKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows[k] == nil {
		h.rows[k] = &versions{begun: 1}
	}
	h.rows[k].begun++
}

func (h *history) end(k productKey, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows[k].gone = append(h.rows[k].gone, now)
}

// check tells what is wrong with a product that was handed out for k to somebody who
// asked at that time, by a cache with that TTL: nothing, if it was the database's at
// some moment in the TTL before, or since.
func (h *history) check(k productKey, p product, asked time.Time, ttl time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.rows[k]
	if row == nil {
		row = &versions{begun: 1}
	}
	switch {
	case p.productKey != k:
		return fmt.Errorf("asked for %+v, got %+v", k, p.productKey)
	case p.Version < 1 || p.Version > row.begun:
		return fmt.Errorf("%+v: version %d of %d", k, p.Version, row.begun)
	case p.Version <= int64(len(row.gone)):
		if old := asked.Sub(row.gone[p.Version-1]); old > ttl {
			return fmt.Errorf("%+v: version %d was replaced %v before, and TTL is %v", k, p.Version, old, ttl)
		}
	}
	return nil
}
