package redistier

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// breaker keeps calls from a server that has failed. After the first failure it is
// open for leastPause at most; then one call is let through, and each that fails doubles
// the pause. Of each pause up to a half is left out at random, so that a fleet does not
// try the server all at once. It has no timer: it looks at the clocks when it is asked,
// and believes the one that says that more time has passed.
type breaker struct {
	mu       sync.Mutex
	failures int           // in a row; zero: it is closed
	since    clock.Instant // of the last failure, or of the last call let through
	pause    time.Duration // from then
	states   uint64        // so far
}

// mostPause is for a server that stalls: then each call that is let through costs its
// Timeout. For one that is well again it is how long it is not noticed.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 5 * time.Second
)

// allow reports whether a call may be made, and in which state. While the breaker is
// open, the one that may puts off the next by a pause, whatever becomes of it.
func (b *breaker) allow(now clock.Instant) (state uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures > 0 {
		if b.since.Within(b.pause, now) {
			return 0, false
		}
		b.wait(now)
	}
	return b.states, true
}

// wait begins a pause. The caller holds mu.
func (b *breaker) wait(now clock.Instant) {
	half := min(leastPause<<min(b.failures-1, 16), mostPause) / 2
	b.since, b.pause = now, half+rand.N(half)
}

// seen returns the state for a call that is made in any.
func (b *breaker) seen() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.states
}

// failed opens it. Of calls that were let through together only one counts.
func (b *breaker) failed(state uint64, now clock.Instant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if state != b.states {
		return
	}
	b.states++
	b.failures++
	b.wait(now)
}

// succeeded closes it.
func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures > 0 {
		b.states++
		b.failures = 0
	}
}

// clusterBreakers is how many there are for a cluster. A node has a few ranges of
// slots; with one breaker for each 256 slots in turn, those of a dead node do not
// keep calls from the others.
const clusterBreakers = slots / 256

// breaker returns that of a name.
func (t *Tier) breaker(name string) *breaker {
	if len(t.breakers) == 1 {
		return &t.breakers[0]
	}
	return &t.breakers[slotOf(name)/256]
}

const slots = 16384

// slotOf is the slot of a name's keys: the CRC-16/XMODEM of what stands between the
// first brace and the next one.
func slotOf(name string) uint16 {
	tag, _, _ := strings.Cut(name, "}")
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			carry := crc >> 15
			crc = crc<<1 ^ carry*0x1021
		}
	}
	return crc % slots
}
