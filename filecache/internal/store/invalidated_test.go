package store

import (
	"fmt"
	"testing"

	"github.com/warmcache/warmcache/internal/clock"
)

// However many objects are invalidated, the memory for it is bounded, and no moment
// gets earlier by that, even if a clock ran back.
func TestInvalidatedIsBounded(t *testing.T) {
	f := newInvalidated()
	key := func(i int) Key { return Key{Origin: "x", Name: fmt.Sprint(i)} }
	for i := range 3*maxInvalidated + 1 {
		f.add(key(i), clock.Instant{Wall: int64(10_000 - i), Mono: int64(i)})
	}
	if n := len(f.keys); n > maxInvalidated {
		t.Errorf("%d moments", n)
	}
	for i := range 3*maxInvalidated + 1 {
		if !f.since(key(i), clock.Instant{Wall: int64(10_000 - i), Mono: 1 << 40}) {
			t.Fatalf("the moment of %d is lost", i)
		}
	}
	f.add(key(0), clock.Instant{Wall: 1, Mono: 1 << 20})
	if !f.since(key(0), clock.Instant{Wall: 10_000, Mono: 1 << 40}) {
		t.Error("the earlier moment is lost")
	}
	if f.since(key(5000), clock.Instant{Wall: 10_001, Mono: 10_000}) {
		t.Error("what came after it is distrusted for ever")
	}
}
