package cache

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// Stats counts events of a [Cache] since [New]. It costs a hit one atomic addition.
type Stats struct {
	Hits        int64 // values served from memory; GetMany counts each key
	Misses      int64 // lookups that were not hits
	Joins       int64 // misses that waited for another caller's Load
	Loads       int64 // calls of Load and LoadMany
	LoadErrors  int64 // calls that failed, other than with ErrNotFound
	StaleServed int64 // values served past their TTL because a Load failed

	EvictedEntries int64 // values evicted because of MaxEntries
	EvictedBytes   int64 // values evicted because of MaxBytes
	Oversize       int64 // values that were not cached because each exceeds MaxBytes alone

	Entries int   // see Len
	Bytes   int64 // the sum of their Size

	TierHits     int64 // misses that the Tier had a usable record for
	TierMisses   int64 // misses that it had none for
	TierErrors   int64 // failed calls of the Tier, including those to delete
	TierRejected int64 // records of the Tier that were corrupt, foreign, from the future, or refused by Codec.Decode
	CodecErrors  int64 // loaded values that stayed in memory because Codec.Encode failed

	// LastFreeze is how far the wall clock last ran ahead of the monotonic one
	// between two loads: the machine was paused, or its clock set. A freeze
	// that both clocks count through cannot be told from idleness.
	LastFreeze time.Duration
}

// LogValue implements [slog.LogValuer]: a group of all counts, as in load_errors=1.
func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int64("hits", s.Hits),
		slog.Int64("misses", s.Misses),
		slog.Int64("joins", s.Joins),
		slog.Int64("loads", s.Loads),
		slog.Int64("load_errors", s.LoadErrors),
		slog.Int64("stale_served", s.StaleServed),
		slog.Int64("evicted_entries", s.EvictedEntries),
		slog.Int64("evicted_bytes", s.EvictedBytes),
		slog.Int64("oversize", s.Oversize),
		slog.Int("entries", s.Entries),
		slog.Int64("bytes", s.Bytes),
		slog.Int64("tier_hits", s.TierHits),
		slog.Int64("tier_misses", s.TierMisses),
		slog.Int64("tier_errors", s.TierErrors),
		slog.Int64("tier_rejected", s.TierRejected),
		slog.Int64("codec_errors", s.CodecErrors),
		slog.Duration("last_freeze", s.LastFreeze),
	)
}

type counters struct {
	misses, joins, loads, loadErrors, stale        atomic.Int64
	tierHits, tierMisses, tierErrors, tierRejected atomic.Int64
	codecErrors                                    atomic.Int64
	gap                                            gap
}

// Stats returns the counts so far. Under load they are of slightly different
// moments.
func (c *Cache[K, V]) Stats() Stats {
	entries, bytes := c.kept.size()
	hits, evicted := c.kept.counts()
	return Stats{
		Hits:           hits,
		Misses:         c.stats.misses.Load(),
		Joins:          c.stats.joins.Load(),
		Loads:          c.stats.loads.Load(),
		LoadErrors:     c.stats.loadErrors.Load(),
		StaleServed:    c.stats.stale.Load(),
		EvictedEntries: evicted.entries,
		EvictedBytes:   evicted.bytes,
		Oversize:       evicted.oversize,
		Entries:        entries,
		Bytes:          bytes,
		TierHits:       c.stats.tierHits.Load(),
		TierMisses:     c.stats.tierMisses.Load(),
		TierErrors:     c.stats.tierErrors.Load(),
		TierRejected:   c.stats.tierRejected.Load(),
		CodecErrors:    c.stats.codecErrors.Load(),
		LastFreeze:     time.Duration(c.stats.gap.last.Load()),
	}
}

// gap notices when the two clocks move apart.
type gap struct {
	offset atomic.Int64 // of the wall clock to the monotonic one
	last   atomic.Int64 // by how much it last grew at once
}

// least is the smallest difference that counts as a gap: clocks drift, and time servers
// slew them.
const least = int64(100 * time.Millisecond)

func (g *gap) start(now clock.Instant) { g.offset.Store(now.Wall - now.Mono) }

func (g *gap) see(now clock.Instant) {
	offset := now.Wall - now.Mono
	if grew := offset - g.offset.Swap(offset); grew >= least {
		g.last.Store(grew)
	}
}
