package filecache

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// Stats counts the events of a [Cache] since [New]. A hit costs one atomic addition,
// and a read of a file another one.
type Stats struct {
	Hits        int64 // served from a local copy without a request
	Revalidated int64 // the origin confirmed the local copy
	StaleServed int64 // local copies past MaxAge, served because the origin failed
	Verified    int64 // local copies opened by this process for the first time, or changed on disk since: their reads are verified
	Misses      int64 // fetched from the origin
	MissesBy    MissReasons
	Joins       int64 // waited for the request of another caller
	Shared      int64 // downloads saved because another process had made the same one
	Unsummed    int64 // misses without a checksum of the whole object: only length and ETag are verified
	Uncached    int64 // misses that could not be kept on disk
	Requests    int64 // to the origin
	OriginBytes int64 // received from the origin
	DiskBytes   int64 // read from local copies
	Evictions   int64 // copies removed to make room
	Repairs     int64 // corrupt blocks fetched again while they were read
	Faults      int64 // failures of the local disk, invisible to callers

	// FaultsBy counts them by errno, such as "ENOSPC". "damaged" counts corrupt
	// files, and "not private" a directory that is not used because other users could
	// read or change it. Nil if there were no faults.
	FaultsBy map[string]int64

	// Refused is the last reason why the directory is not private, and the remedy. It
	// is empty if there was none.
	Refused string

	// Breaker is the state of the circuit breaker of the directory, and
	// BreakerOpened counts how often it opened.
	Breaker       BreakerState
	BreakerOpened int64
}

// MissReasons counts misses by the reason why there was no usable copy.
type MissReasons struct {
	Absent    int64 // there was no copy
	Changed   int64 // the origin has another version, or no ETag to compare
	Evicted   int64 // this process had evicted it
	Forgotten int64 // this process had removed it after a Forget or Clear
	Damaged   int64 // it was corrupt or incomplete
	NoDisk    int64 // the disk failed, or its breaker was open
}

// LogValue implements [slog.LogValuer]: a group of all counts, as in misses_by.absent=1.
func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int64("hits", s.Hits),
		slog.Int64("revalidated", s.Revalidated),
		slog.Int64("stale_served", s.StaleServed),
		slog.Int64("verified", s.Verified),
		slog.Int64("misses", s.Misses),
		slog.Any("misses_by", s.MissesBy),
		slog.Int64("joins", s.Joins),
		slog.Int64("shared", s.Shared),
		slog.Int64("unsummed", s.Unsummed),
		slog.Int64("uncached", s.Uncached),
		slog.Int64("requests", s.Requests),
		slog.Int64("origin_bytes", s.OriginBytes),
		slog.Int64("disk_bytes", s.DiskBytes),
		slog.Int64("evictions", s.Evictions),
		slog.Int64("repairs", s.Repairs),
		slog.Int64("faults", s.Faults),
		slog.Attr{Key: "faults_by", Value: groupOf(s.FaultsBy)},
		slog.String("refused", s.Refused),
		slog.String("breaker", s.Breaker.String()),
		slog.Int64("breaker_opened", s.BreakerOpened),
	)
}

// LogValue implements [slog.LogValuer]: a group of all counts, as in no_disk=1.
func (m MissReasons) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int64("absent", m.Absent),
		slog.Int64("changed", m.Changed),
		slog.Int64("evicted", m.Evicted),
		slog.Int64("forgotten", m.Forgotten),
		slog.Int64("damaged", m.Damaged),
		slog.Int64("no_disk", m.NoDisk),
	)
}

func groupOf(counts map[string]int64) slog.Value {
	var attrs []slog.Attr
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		attrs = append(attrs, slog.Int64(name, counts[name]))
	}
	return slog.GroupValue(attrs...)
}

type counters struct {
	hits, revalidated, stale, joins, shared, unsummed, uncached atomic.Int64
	requests, originBytes, repairs                              atomic.Int64

	changed  atomic.Int64                   // misses because of a change at the origin
	noCopyBy [store.NoDisk + 1]atomic.Int64 // misses by reason
}

// Stats returns the counts so far. Under load they are of slightly different
// moments.
func (c *Cache) Stats() Stats {
	s := &c.stats
	by := s.missesBy()
	of := c.store.Stats()
	return Stats{
		Hits:          s.hits.Load(),
		Revalidated:   s.revalidated.Load(),
		StaleServed:   s.stale.Load(),
		Verified:      of.Verified,
		Misses:        by.Absent + by.Changed + by.Evicted + by.Forgotten + by.Damaged + by.NoDisk,
		MissesBy:      by,
		Joins:         s.joins.Load(),
		Shared:        s.shared.Load(),
		Unsummed:      s.unsummed.Load(),
		Uncached:      s.uncached.Load(),
		Requests:      s.requests.Load(),
		OriginBytes:   s.originBytes.Load(),
		DiskBytes:     of.DiskBytes,
		Evictions:     of.Evictions,
		Repairs:       s.repairs.Load(),
		Faults:        of.Faults,
		FaultsBy:      of.FaultsBy,
		Refused:       of.Refused,
		Breaker:       BreakerState(of.Breaker),
		BreakerOpened: of.Opened,
	}
}

func (s *counters) missesBy() MissReasons {
	return MissReasons{
		Absent:    s.noCopyBy[store.Absent].Load(),
		Changed:   s.changed.Load(),
		Evicted:   s.noCopyBy[store.Evicted].Load(),
		Forgotten: s.noCopyBy[store.Invalidated].Load(),
		Damaged:   s.noCopyBy[store.Damaged].Load(),
		NoDisk:    s.noCopyBy[store.NoDisk].Load(),
	}
}

// miss counts a miss of id. Found is the copy that the origin did not confirm,
// or why is the error of looking for one.
func (c *Cache) miss(id ID, found *store.Copy, why error) {
	if found != nil {
		c.stats.changed.Add(1)
		return
	}
	c.stats.noCopyBy[c.store.Reason(store.Key(id), why)].Add(1)
}

// BreakerState is the state of the circuit breaker of a directory.
type BreakerState uint8

const (
	BreakerClosed  BreakerState = iota // the directory is used
	BreakerOpen                        // it kept failing, and is not used for a while
	BreakerProbing                     // it is tried again; the next failure opens the breaker
)

// String returns "closed", "open" or "probing".
func (s BreakerState) String() string {
	switch s {
	case BreakerClosed:
		return "closed"
	case BreakerOpen:
		return "open"
	case BreakerProbing:
		return "probing"
	}
	return fmt.Sprintf("BreakerState(%d)", uint8(s))
}
