package filecache

import "sync/atomic"

// Stats counts what a Cache did since New.
type Stats struct {
	Hits        int64 // answered from a local copy without asking the origin
	Revalidated int64 // the origin confirmed the local copy
	Misses      int64 // fetched from the origin
	Joins       int64 // waited for the request of another caller
	Uncached    int64 // misses that could not be kept on disk
	Requests    int64 // to the origin
	OriginBytes int64 // received from the origin
	Evictions   int64 // copies removed to make room
	Repairs     int64 // damaged blocks fetched anew while they were read
	Faults      int64 // failures of the local disk, none of which a caller saw
}

type counters struct {
	hits, revalidated, misses, joins, uncached        atomic.Int64
	requests, originBytes, evictions, repairs, faults atomic.Int64
}

// Stats returns the counts so far.
func (c *Cache) Stats() Stats {
	s := &c.stats
	return Stats{
		Hits:        s.hits.Load(),
		Revalidated: s.revalidated.Load(),
		Misses:      s.misses.Load(),
		Joins:       s.joins.Load(),
		Uncached:    s.uncached.Load(),
		Requests:    s.requests.Load(),
		OriginBytes: s.originBytes.Load(),
		Evictions:   s.evictions.Load(),
		Repairs:     s.repairs.Load(),
		Faults:      s.faults.Load(),
	}
}
