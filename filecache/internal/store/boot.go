package store

import (
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// boots converts this process's instants to and from those in entries, so that both
// clocks also work across a restart of the process.
type boots struct {
	clock *clock.Clock
	read  func() (id [16]byte, mono int64)

	once sync.Once
	id   [16]byte
	// The bounds of the boot's monotonic clock minus this process's. They differ
	// because the two clocks are not read at once. Rounding makes entries look older.
	least, most int64
}

// maxReadGap is the maximum time between the readings of the two clocks. After a longer
// one, the process may have been frozen in between.
const maxReadGap = int64(time.Millisecond)

func (b *boots) init() {
	b.once.Do(func() {
		for range 5 {
			before := b.clock.Now().Mono
			id, mono := b.read()
			after := b.clock.Now().Mono
			b.id, b.least, b.most = id, mono-after, mono-before
			if uint64(after-before) <= uint64(maxReadGap) {
				return
			}
		}
		b.id = [16]byte{}
	})
}

// record writes the instant into an entry.
func (b *boots) record(e *entry, at clock.Instant) {
	b.init()
	e.wall, e.mono, e.boot = at.Wall, at.Mono+b.least, b.id
}

// instant returns the instant in an entry. The monotonic clock of another boot is not
// comparable, so it counts from now. The wall clock alone then gives the age.
func (b *boots) instant(e *entry) clock.Instant {
	b.init()
	if e.boot != b.id || b.id == [16]byte{} {
		return clock.Instant{Wall: e.wall, Mono: b.clock.Now().Mono}
	}
	return clock.Instant{Wall: e.wall, Mono: e.mono - b.most}
}
