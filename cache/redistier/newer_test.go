//go:build unix

package redistier

import (
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// A rotated secret: all containers of a fleet hold the same value and want a newer one at
// the same time. The leases of the Tier let one or two of them load it.
func TestNewerInAFleet(t *testing.T) {
	const containers = 20
	s, o := startSocket(t), &origin{slow: 20 * time.Millisecond}
	var fleet [containers]*cache.Cache[string, string]
	var held [containers]cache.Entry[string]
	for i := range fleet {
		options := patient(s.client())
		options.Lease, options.Wait = 20*time.Second, time.Minute
		fleet[i] = newCache(t, newTier(t, options), o)
		e, err := fleet[i].Lookup(background, "secret")
		if err != nil || e.Value != "secret v1" {
			t.Fatalf("Lookup = %+v, %v", e, err)
		}
		held[i] = e
	}
	var all sync.WaitGroup
	for i := range fleet {
		all.Go(func() {
			e, err := fleet[i].Newer(background, "secret", held[i])
			if err != nil || e.Value == "secret v1" {
				t.Errorf("Newer = %+v, %v", e, err)
			}
		})
	}
	all.Wait()
	if n := o.loads.Load() - 1; n < 1 || n > 2 {
		t.Errorf("%d loads for a fleet of %d, want 1 or 2", n, containers)
	}
}
