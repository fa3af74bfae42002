package store

import (
	"math"

	"github.com/warmcache/warmcache/internal/clock"
)

// invalidated records when copies were invalidated. Another process may publish an older
// download after an invalidation, or the disk may fail to remove the entry. In both
// cases, the entry must not be relied on.
type invalidated struct {
	keys map[Key]clock.Instant
	all  clock.Instant // for all keys not in keys
}

// maxInvalidated bounds the size of keys.
const maxInvalidated = 1024

func newInvalidated() invalidated {
	return invalidated{keys: map[Key]clock.Instant{}, all: clock.Instant{Wall: math.MinInt64, Mono: math.MinInt64}}
}

func (f *invalidated) add(k Key, at clock.Instant) {
	if len(f.keys) >= maxInvalidated {
		f.addAll(at)
		return
	}
	f.keys[k] = later(f.moment(k), at)
}

func (f *invalidated) addAll(at clock.Instant) {
	for _, m := range f.keys {
		at = later(at, m)
	}
	clear(f.keys)
	f.all = later(f.all, at)
}

func (f *invalidated) moment(k Key) clock.Instant {
	if m, ok := f.keys[k]; ok {
		return m
	}
	return f.all
}

// since reports whether k may have been invalidated since its copy was validated. It
// reports false only if both clocks agree.
func (f *invalidated) since(k Key, validated clock.Instant) bool {
	m := f.moment(k)
	return validated.Wall <= m.Wall || validated.Mono <= m.Mono
}

// later returns an instant that is not before a or b on either clock.
func later(a, b clock.Instant) clock.Instant {
	return clock.Instant{Wall: max(a.Wall, b.Wall), Mono: max(a.Mono, b.Mono)}
}
