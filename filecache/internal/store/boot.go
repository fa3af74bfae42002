package store

import (
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// boots translates instants of this process to and from the form that an entry
// keeps, so that both clocks count across a restart of the process too.
type boots struct {
	clock *clock.Clock
	read  func() (id [16]byte, mono int64)

	once sync.Once
	id   [16]byte
	// From this process's monotonic readings to the boot's, at least and at most:
	// the two are not read at once. What errs makes entries look older.
	least, most int64
}

// maxReadGap is how far apart the two clocks may be read: the process may have been
// frozen in between.
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

// instant reads it back. The monotonic clock of another boot says nothing; it
// then counts from now, and the wall clock alone tells the age.
func (b *boots) instant(e *entry) clock.Instant {
	b.init()
	if e.boot != b.id || b.id == [16]byte{} {
		return clock.Instant{Wall: e.wall, Mono: b.clock.Now().Mono}
	}
	return clock.Instant{Wall: e.wall, Mono: e.mono - b.most}
}
