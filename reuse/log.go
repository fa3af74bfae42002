package reuse

import "log/slog"

// LogValue implements [slog.LogValuer]: a group of start, number, age, gap and pause,
// the last two only if there is one.
func (i Invocation) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("start", i.Start.String()),
		slog.Int64("number", i.Number),
		slog.Duration("age", i.Age),
	}
	if i.Number > 1 {
		attrs = append(attrs, slog.Duration("gap", i.Gap))
	}
	if i.Thawed() {
		attrs = append(attrs, slog.Duration("pause", i.Pause))
	}
	return slog.GroupValue(attrs...)
}
