package redistier

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// breaker stops calls of a server that has failed. After the first failure it is open
// for minOpen at most; then it allows one call, and each further failure doubles the
// time. A random part of up to a half is subtracted, so that a fleet does not try the
// server all at once. The breaker has no timer: allow reads both clocks, and the one
// on which more time has passed counts.
type breaker struct {
	mu         sync.Mutex
	failures   int           // in a row; zero: closed
	since      clock.Instant // of the last failure, or of the last call that was allowed
	openFor    time.Duration // counted from since
	generation uint64        // how often it has changed between open and closed
	answered   clock.Instant // when a call last succeeded; zero: never
}

// maxOpen bounds the cost of a server that stalls, where each allowed call takes its
// Timeout, and the time until a recovered server is used again.
const (
	minOpen = 100 * time.Millisecond
	maxOpen = 5 * time.Second
)

// allow reports whether a call may be made, and returns the generation for Failure.
// While the breaker is open, an allowed call starts a new openFor, with any outcome.
func (b *breaker) allow(now clock.Instant) (generation uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures > 0 {
		if b.since.Within(b.openFor, now) {
			return 0, false
		}
		b.open(now)
	}
	return b.generation, true
}

// open starts a new openFor. The caller holds mu.
func (b *breaker) open(now clock.Instant) {
	half := min(minOpen<<min(b.failures-1, 16), maxOpen) / 2
	b.since, b.openFor = now, half+rand.N(half)
}

// current returns the generation for a call that is made whether or not the breaker is
// open.
func (b *breaker) current() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.generation
}

// Failure opens the breaker. Only one of the calls of a generation counts.
func (b *breaker) Failure(generation uint64, now clock.Instant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if generation != b.generation {
		return
	}
	b.generation++
	b.failures++
	b.open(now)
}

// Success closes the breaker.
func (b *breaker) Success(now clock.Instant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = now
	if b.failures > 0 {
		b.generation++
		b.failures = 0
	}
}

// connected reports whether the server has answered recently enough that calls need no
// time to connect.
func (b *breaker) connected(now clock.Instant) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.answered != clock.Instant{} && b.answered.Within(DefaultIdle, now)
}

// clusterBreakers is the number of breakers for a cluster, one for each 256 slots. A node
// has a few ranges of slots, so the breakers of a dead node do not stop calls of the
// others.
const clusterBreakers = slots / 256

// breaker returns the breaker of a name.
func (t *Tier) breaker(name string) *breaker {
	if len(t.breakers) == 1 {
		return &t.breakers[0]
	}
	return &t.breakers[slotOf(name)/256]
}

const slots = 16384

// slotOf returns the cluster slot of a name's keys: the CRC-16/XMODEM of the text between
// the first pair of braces.
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
