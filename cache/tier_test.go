package cache

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// fakeTier is a Tier in memory, shared by the caches of a test.
type fakeTier struct {
	mu      sync.Mutex
	records map[string][]byte
	leases  map[string]map[string]bool
	issued  int
	sets    []TierRecord
	err     error // of every call
}

func newFakeTier() *fakeTier {
	return &fakeTier{records: map[string][]byte{}, leases: map[string]map[string]bool{}}
}

func (f *fakeTier) Get(_ context.Context, name string, use func([]byte) bool) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return "", f.err
	}
	if b, ok := f.records[name]; ok && use(b) {
		return "", nil
	}
	if f.leases[name] == nil {
		f.leases[name] = map[string]bool{}
	}
	f.issued++
	lease := fmt.Sprint(f.issued)
	f.leases[name][lease] = true
	return lease, nil
}

func (f *fakeTier) Set(_ context.Context, r TierRecord) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sets = append(f.sets, r)
	if f.err == nil && f.leases[r.Name][r.Lease] && r.Record != nil {
		f.records[r.Name] = r.Record
	}
	delete(f.leases[r.Name], r.Lease)
	return f.err
}

func (f *fakeTier) Delete(_ context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	delete(f.records, name)
	delete(f.leases, name)
	return nil
}

func withTier(f Tier) func(*Options[string, string]) {
	return func(o *Options[string, string]) {
		o.Tier, o.Namespace, o.Codec = f, "test/1", JSON[string]()
	}
}

func TestTierServesOtherContainers(t *testing.T) {
	tier, o := newFakeTier(), &origin{}
	a := newTest(t, o, clock.New(), withTier(tier))
	b := newTest(t, o, clock.New(), withTier(tier))
	wantGet(t, a, "k", "k v1")
	wantGet(t, b, "k", "k v1")
	wantGet(t, b, "k", "k v1")
	want := Stats{Hits: 1, Misses: 1, TierHits: 1, Entries: 1}
	if got := b.Stats(); got != want {
		t.Errorf("Stats = %+v; want %+v", got, want)
	}
}

var _ = clocktest.New
var _ = time.Now
