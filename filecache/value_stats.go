package filecache

import (
	"log/slog"
	"sync/atomic"
)

// ValueStats counts what a Value did since NewValue.
type ValueStats struct {
	Hits          int64 // answered without opening the object
	Joins         int64 // waited for another caller's opening or parsing
	Revalidated   int64 // the object was opened, and was the version that had been parsed
	Parses        int64 // calls of Parse
	Failures      int64 // of those, how many failed or panicked
	StaleServed   int64 // found past MaxAge, and handed out because the origin could not be reached
	InvalidServed int64 // an older value was handed out because Parse fails for the present version
	CloseErrors   int64 // of ValueOptions.Close
}

// LogValue implements slog.LogValuer: a group of all counts, as in parses=1.
func (s ValueStats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Int64("hits", s.Hits),
		slog.Int64("joins", s.Joins),
		slog.Int64("revalidated", s.Revalidated),
		slog.Int64("parses", s.Parses),
		slog.Int64("failures", s.Failures),
		slog.Int64("stale_served", s.StaleServed),
		slog.Int64("invalid_served", s.InvalidServed),
		slog.Int64("close_errors", s.CloseErrors),
	)
}

type valueCounters struct {
	hits, joins, revalidated, parses, failures, stale, invalid, closeErrors atomic.Int64
}

// Stats returns the counts so far. Under load they are of slightly different moments.
func (v *Value[T]) Stats() ValueStats {
	s := &v.stats
	return ValueStats{
		Hits:          s.hits.Load(),
		Joins:         s.joins.Load(),
		Revalidated:   s.revalidated.Load(),
		Parses:        s.parses.Load(),
		Failures:      s.failures.Load(),
		StaleServed:   s.stale.Load(),
		InvalidServed: s.invalid.Load(),
		CloseErrors:   s.closeErrors.Load(),
	}
}
