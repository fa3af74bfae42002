package filecache

import (
	"sync"

	"github.com/warmcache/warmcache/internal/clock"
)

// boot translates instants of this process to and from the form that an entry
// keeps, so that both clocks count across a restart of the process too.
type boot struct {
	clock *clock.Clock
	read  func() (id [16]byte, mono int64)

	once   sync.Once
	id     [16]byte
	offset int64 // from this process's monotonic readings to the boot's
}

func (b *boot) init() {
	b.once.Do(func() {
		id, mono := b.read()
		b.id, b.offset = id, mono-b.clock.Now().Mono
	})
}

// stamp writes the instant into an entry.
func (b *boot) stamp(e *entry, at clock.Instant) {
	b.init()
	e.wall, e.mono, e.boot = at.Wall, at.Mono+b.offset, b.id
}

// instant reads it back. The monotonic clock of another boot says nothing; then
// it is left to the wall clock alone.
func (b *boot) instant(e *entry) clock.Instant {
	b.init()
	if e.boot != b.id || b.id == [16]byte{} {
		return clock.Instant{Wall: e.wall, Mono: b.clock.Now().Mono}
	}
	return clock.Instant{Wall: e.wall, Mono: e.mono - b.offset}
}
