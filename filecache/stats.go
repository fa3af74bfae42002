package filecache

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// Stats counts what a Cache did since New. It costs a hit one atomic addition,
// and a read of a file one.
type Stats struct {
	Hits        int64 // answered from a local copy without asking the origin
	Revalidated int64 // the origin confirmed the local copy
	StaleServed int64 // local copies past MaxAge, handed out because the origin could not be asked
	Verified    int64 // local copies that this process first opened, or that had changed on disk: their reads are verified
	Misses      int64 // fetched from the origin
	MissesBy    MissReasons
	Joins       int64 // waited for the request of another caller
	Shared      int64 // downloads saved, for another process had just made them
	Unsummed    int64 // misses for which the origin announced no checksum of the whole: only length and ETag are known to be right
	Uncached    int64 // misses that could not be kept on disk
	Requests    int64 // to the origin
	OriginBytes int64 // received from the origin
	DiskBytes   int64 // read from local copies
	Evictions   int64 // copies removed to make room
	Repairs     int64 // damaged blocks fetched anew while they were read
	Faults      int64 // failures of the local disk, none of which a caller saw

	// FaultsBy counts them by errno, such as "ENOSPC". "damaged" are files that
	// are not what was written. Nil if there were none.
	FaultsBy map[string]int64

	// Breaker says whether the directory is used at all, and BreakerOpened how
	// often it was left alone for a while because it kept failing.
	Breaker       BreakerState
	BreakerOpened int64
}

// MissReasons counts misses by why there was no copy to use.
type MissReasons struct {
	Absent    int64 // none was there
	Changed   int64 // the origin has another one now, or has no ETag that would tell
	Evicted   int64 // this process had removed it to make room
	Forgotten int64 // this process had removed it because of a Forget or a Clear
	Damaged   int64 // it was damaged, or part of it was gone
	NoDisk    int64 // the disk failed, or was left alone after failing
}

// LogValue implements slog.LogValuer: a group of all counts, as in misses_by.absent=1.
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
		slog.String("breaker", s.Breaker.String()),
		slog.Int64("breaker_opened", s.BreakerOpened),
	)
}

// LogValue implements slog.LogValuer: a group of all counts, as in no_disk=1.
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
	hits, revalidated, stale, verified, joins, shared, unsummed, uncached atomic.Int64
	requests, originBytes, diskBytes, evictions, repairs, faults          atomic.Int64

	misses [missReasons]atomic.Int64

	mu       sync.Mutex
	faultsBy map[string]int64
}

// Stats returns the counts so far. Under load they are of slightly different
// moments.
func (c *Cache) Stats() Stats {
	s := &c.stats
	by := s.missesBy()
	state, opened := c.breaker.state()
	return Stats{
		Hits:          s.hits.Load(),
		Revalidated:   s.revalidated.Load(),
		StaleServed:   s.stale.Load(),
		Verified:      s.verified.Load(),
		Misses:        by.Absent + by.Changed + by.Evicted + by.Forgotten + by.Damaged + by.NoDisk,
		MissesBy:      by,
		Joins:         s.joins.Load(),
		Shared:        s.shared.Load(),
		Unsummed:      s.unsummed.Load(),
		Uncached:      s.uncached.Load(),
		Requests:      s.requests.Load(),
		OriginBytes:   s.originBytes.Load(),
		DiskBytes:     s.diskBytes.Load(),
		Evictions:     s.evictions.Load(),
		Repairs:       s.repairs.Load(),
		Faults:        s.faults.Load(),
		FaultsBy:      s.faultsByErrno(),
		Breaker:       state,
		BreakerOpened: opened,
	}
}

func (s *counters) missesBy() MissReasons {
	return MissReasons{
		Absent:    s.misses[missAbsent].Load(),
		Changed:   s.misses[missChanged].Load(),
		Evicted:   s.misses[missEvicted].Load(),
		Forgotten: s.misses[missForgotten].Load(),
		Damaged:   s.misses[missDamaged].Load(),
		NoDisk:    s.misses[missNoDisk].Load(),
	}
}

func (s *counters) faultsByErrno() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.faultsBy)
}

func (s *counters) fault(err error) {
	s.faults.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faultsBy == nil {
		s.faultsBy = map[string]int64{}
	}
	s.faultsBy[faultName(err)]++
}

// faultName returns the name to count err under: there are only so many.
func faultName(err error) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errnoName(errno)
	case errors.Is(err, errDamaged), errors.Is(err, errEntry):
		return "damaged"
	}
	return "other"
}
