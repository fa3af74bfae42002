package filecache

import (
	"log/slog"
	"sync/atomic"
)

// ValueStats counts the events of a [Value] since NewValue.
type ValueStats struct {
	Hits          int64 // served without opening the object
	Joins         int64 // waited for another caller's Open or Parse
	Revalidated   int64 // the object was opened and still had the parsed version
	Parses        int64 // calls of Parse
	Failures      int64 // calls of Parse that failed or panicked
	StaleServed   int64 // values past MaxAge, served because the origin failed
	InvalidServed int64 // older values served because Parse fails for the current version
	CloseErrors   int64 // errors of ValueOptions.Close
}

// LogValue implements [slog.LogValuer]: a group of all counts, as in parses=1.
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
