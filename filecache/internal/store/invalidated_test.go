package store

import (
	"fmt"
	"testing"

	"github.com/warmcache/warmcache/internal/clock"
)

// The memory for invalidations is bounded, and an instant never moves back, even if a
// clock does.
func TestInvalidatedIsBounded(t *testing.T) {
	f := newInvalidated()
	key := func(i int) Key { return Key{Origin: "x", Name: fmt.Sprint(i)} }
	for i := range 3*maxInvalidated + 1 {
		f.add(key(i), clock.Instant{Wall: int64(10_000 - i), Mono: int64(i)})
	}
	if n := len(f.keys); n > maxInvalidated {
		t.Errorf("%d instants are kept", n)
	}
	for i := range 3*maxInvalidated + 1 {
		if !f.since(key(i), clock.Instant{Wall: int64(10_000 - i), Mono: 1 << 40}) {
			t.Fatalf("the instant of %d is lost", i)
		}
	}
	f.add(key(0), clock.Instant{Wall: 1, Mono: 1 << 20})
	if !f.since(key(0), clock.Instant{Wall: 10_000, Mono: 1 << 40}) {
		t.Error("the earlier instant is lost")
	}
	if f.since(key(5000), clock.Instant{Wall: 10_001, Mono: 10_000}) {
		t.Error("a copy validated afterwards is still distrusted")
	}
}
