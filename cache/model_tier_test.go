package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// The model of several containers over one Tier, in the world of model_test.go. Each
// container has its own clocks. The Tier stalls, fails before or after the operation,
// loses records, and returns garbage and other keys' records. Every answer is checked
// against the history of the origin. A container must not see again a record that it
// has deleted, even if the Delete failed. No container may get a record from the Tier
// that another container has deleted there.
//
// Of each container, the wall clock is within half of ClockSkew, and the monotonic
// clock may do anything; or the wall clock wanders within that, and the monotonic one
// is right.

// fleet is a world with a Tier.
type fleet struct {
	*world
	skew    time.Duration
	trouble int  // per cent of the Tier's calls
	batch   bool // it is a BatchTier
	anyTime bool // broken: it stores records without checking the lease

	memoryTTL time.Duration
	keeps     time.Duration // broken: memory keeps values that long instead
	anyNewer  bool          // broken: Newer accepts any record

	// Guarded by the world's mu.
	records map[string][]byte
	leases  map[string]map[string]time.Duration // of a name: until when others wait
	issued  int
	deleted map[string]int // name: loads from before this moment must not be found
	seen    int            // records that were used

	everywhere map[int][]deletion // of keys, from the Tier
}

// deletion is an Invalidate that has returned nil at that time. No container may see
// loads from before the moment once MemoryTTL has passed, except as stale values.
type deletion struct {
	moment int
	at     time.Duration
}

// container is one process with its cache.
type container struct {
	fleet   *fleet
	cache   *Cache[int, modelValue]
	wallErr time.Duration
	monoErr time.Duration
	wanders bool
	min     map[int]int // loads from before must not be seen here
}

func newFleet(seed uint64) *fleet {
	w := newWorld(seed)
	f := &fleet{world: w, records: map[string][]byte{}, leases: map[string]map[string]time.Duration{}, deleted: map[string]int{}, everywhere: map[int][]deletion{}}
	f.late = 2 * f.ttl
	f.skew = w.pick(w.ttl/20, w.ttl/4)
	f.trouble = []int{0, 5, 40}[w.rand.IntN(3)]
	f.batch = w.rand.IntN(2) == 0
	f.memoryTTL = w.pick(0, w.ttl/20, w.ttl/3)
	return f
}

func (f *fleet) newContainer(t *testing.T) *container {
	f.mu.Lock()
	k := &container{fleet: f, min: map[int]int{}, wanders: f.rand.IntN(2) == 0, wallErr: f.someSkew()}
	jitter := float64(f.rand.IntN(2)) / 10
	f.mu.Unlock()
	var tier Tier = flaky{f}
	if f.batch {
		tier = flakyBatch{flaky{f}}
	}
	o := f.options()
	o.Jitter, o.ClockSkew, o.TierTimeout = jitter, f.skew, f.ttl/4
	o.Tier, o.Namespace = tier, "model"
	o.Codec = Codec[modelValue]{Encode: encodeModel, Decode: decodeModel}
	o.MemoryTTL = cmp.Or(f.keeps, f.memoryTTL)
	c, err := newCache(o, clock.NewFake(k.read))
	if err != nil {
		t.Fatal(err)
	}
	k.cache = c
	return k
}

func encodeModel(v modelValue) ([]byte, error) {
	return fmt.Appendf(nil, "%d %d", v.version, v.load), nil
}

func decodeModel(b []byte) (v modelValue, err error) {
	_, err = fmt.Sscanf(string(b), "%d %d", &v.version, &v.load)
	return v, err
}

// someSkew returns a random error for a wall clock. The caller holds mu.
func (f *fleet) someSkew() time.Duration {
	return time.Duration(f.rand.Int64N(int64(f.skew))) - f.skew/2
}

// read returns the readings of the container's clocks.
func (k *container) read() clock.Instant {
	f := k.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.now() + 1000*time.Hour // any date except the epoch, which no record has
	return clock.Instant{Wall: int64(t + k.wallErr), Mono: int64(t + k.monoErr)}
}

// disturb changes the errors of the container's clocks.
func (k *container) disturb() {
	f := k.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changedAt = f.now()
	if k.wanders {
		k.wallErr = f.someSkew()
		return
	}
	k.monoErr += time.Duration(f.rand.Int64N(int64(4*f.ttl))) - 2*f.ttl
}

func (k *container) ask(what string, _ ...int) asked {
	f := k.fleet
	a := f.ask(what)
	f.mu.Lock()
	defer f.mu.Unlock()
	a.min, a.minFresh = maps.Clone(k.min), map[int]int{}
	for key, all := range f.everywhere {
		for _, d := range all {
			if f.memoryTTL > 0 && d.at <= a.at-f.memoryTTL {
				a.minFresh[key] = max(a.minFresh[key], d.moment)
			}
		}
	}
	return a
}

// invalidated records that this container must not see loads from before.
func (k *container) invalidated(moment int, keys ...int) {
	k.fleet.mu.Lock()
	defer k.fleet.mu.Unlock()
	for _, key := range keys {
		k.min[key] = max(k.min[key], moment)
	}
}

// delete invalidates a key for the fleet, sometimes together with another one.
func (k *container) delete(ctx context.Context, _ subject, key int) {
	f := k.fleet
	f.mu.Lock()
	keys := []int{key, (key + 1) % modelKeys}[:1+f.rand.IntN(2)]
	f.mu.Unlock()
	a := k.ask("Invalidate")
	invalidate := func() error { return k.cache.Invalidate(ctx, key) }
	if len(keys) > 1 {
		invalidate = func() error { return k.cache.InvalidateMany(ctx, keys) }
	}
	if invalidate() == nil {
		f.mu.Lock()
		for _, key := range keys {
			name := nameOf("model", k.cache.encode(key))
			f.deleted[name] = max(f.deleted[name], a.moment)
			f.everywhere[key] = append(f.everywhere[key], deletion{a.moment, f.now()})
		}
		f.mu.Unlock()
	}
	k.invalidated(a.moment, keys...)
}

// live starts and ends containers, and runs their clients.
func (f *fleet) live(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 { // one container after the other
				k := f.newContainer(t)
				var clients sync.WaitGroup
				for range 2 {
					clients.Go(func() {
						entries := map[int]Entry[modelValue]{}
						var s subject = k.cache
						if f.anyNewer {
							s = anyNewer{k.cache}
						}
						for range 20 {
							f.client(k, s, entries)
							f.sleep(f.ttl / 4)
						}
					})
				}
				clients.Go(func() {
					for range 5 {
						f.sleep(2 * f.ttl)
						k.disturb()
					}
				})
				clients.Wait()
			}
		})
	}
	wg.Go(func() {
		for range 10 {
			f.sleep(4 * f.ttl)
			f.mu.Lock()
			f.paused += time.Duration(f.rand.Int64N(int64(f.ttl))) // for all: the containers' clocks add their errors
			f.mu.Unlock()
		}
	})
	wg.Wait()
	time.Sleep(100 * f.ttl)
}

// flaky is the Tier of a fleet.
type flaky struct{ f *fleet }

var errTier = errors.New("model: the tier fails")

// fault is called before and after each call, and may return the call's error.
func (t flaky) fault(ctx context.Context) error {
	t.f.sleep(t.f.ttl / 50)
	t.f.mu.Lock()
	hit, how := t.f.rand.IntN(100) < t.f.trouble, t.f.rand.IntN(3)
	t.f.mu.Unlock()
	switch {
	case !hit:
		return nil
	case how == 0: // it stalls
		<-ctx.Done()
		return ctx.Err()
	case how == 1: // it loses a record
		t.f.mu.Lock()
		defer t.f.mu.Unlock()
		clear(t.f.records)
		if t.f.rand.IntN(2) == 0 {
			clear(t.f.leases)
		}
		return nil
	}
	return errTier
}

func (t flaky) Get(ctx context.Context, name string, use func([]byte) bool) (string, error) {
	f := t.f
	f.mu.Lock()
	least := f.deleted[name]
	f.mu.Unlock()
	if err := t.fault(ctx); err != nil {
		return "", err
	}
	for i := 0; ; i++ {
		f.mu.Lock()
		b := f.disturbed(name)
		f.mu.Unlock()
		if b != nil && use(b) {
			f.used(name, b, least)
			return "", nil
		}
		f.mu.Lock()
		if lease, ok := f.lease(name, i == 5); ok {
			f.mu.Unlock()
			if err := t.fault(ctx); err != nil {
				return "", err
			}
			return lease, nil
		}
		f.mu.Unlock()
		f.sleep(f.ttl / 20)
	}
}

// disturbed returns the record of name as the Tier returns it. The caller holds mu.
func (f *fleet) disturbed(name string) []byte {
	b := f.records[name]
	if b == nil || f.rand.IntN(100) >= f.trouble {
		return b
	}
	switch f.rand.IntN(3) {
	case 0: // another key's
		for key := range modelKeys {
			if n := nameOf("model", string([]byte{byte(2 * key)})); n != name {
				b = f.records[n]
			}
		}
		return b
	case 1:
		return b[:f.rand.IntN(len(b))]
	default:
		b = append([]byte(nil), b...)
		b[f.rand.IntN(len(b))] ^= 1 << f.rand.IntN(8)
		return b
	}
}

// used checks a record that the cache accepted.
func (f *fleet) used(name string, b []byte, least int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	for key := range modelKeys {
		encoded := string([]byte{byte(2 * key)})
		r, ok := decodeRecord(b, identityOf("model", shapeOf[int](), encoded))
		if !ok || nameOf("model", encoded) != name || r.missing {
			continue
		}
		if v, _ := decodeModel(r.payload); f.loadOf(key, v) < least {
			f.fault("from the Tier, key %d: load %d began before the invalidation at %d", key, v.load, least)
		}
	}
}

// lease returns the lease for Get if no other caller loads. The caller holds mu.
func (f *fleet) lease(name string, anyway bool) (string, bool) {
	for _, until := range f.leases[name] {
		if f.now() < until && !anyway {
			return "", false
		}
	}
	f.issued++
	lease := fmt.Sprint(f.issued)
	if f.leases[name] == nil {
		f.leases[name] = map[string]time.Duration{}
	}
	f.leases[name][lease] = f.now() + f.ttl/10
	return lease, true
}

func (t flaky) Set(ctx context.Context, r TierRecord) error {
	if err := t.fault(ctx); err != nil {
		return err
	}
	f := t.f
	f.mu.Lock()
	_, good := f.leases[r.Name][r.Lease]
	delete(f.leases[r.Name], r.Lease)
	if (good || f.anyTime) && r.Record != nil {
		f.records[r.Name] = r.Record
	}
	f.mu.Unlock()
	return t.fault(ctx)
}

func (t flaky) Delete(ctx context.Context, name string) error {
	if err := t.fault(ctx); err != nil {
		return err
	}
	t.f.mu.Lock()
	delete(t.f.records, name)
	delete(t.f.leases, name)
	t.f.mu.Unlock()
	return t.fault(ctx)
}

// flakyBatch makes many calls in turn, in any order, and continues after an error.
type flakyBatch struct{ flaky }

func (t flakyBatch) GetMany(ctx context.Context, names []string, use func(int, []byte) bool) (leases []string, err error) {
	for i, name := range names {
		lease, e := t.Get(ctx, name, func(b []byte) bool { return use(i, b) })
		leases, err = append(leases, lease), errors.Join(err, e)
	}
	return leases, err
}

func (t flakyBatch) DeleteMany(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		err = errors.Join(err, t.Delete(ctx, name))
	}
	return err
}

func (t flakyBatch) SetMany(ctx context.Context, records []TierRecord) (err error) {
	for _, r := range records {
		err = errors.Join(err, t.Set(ctx, r))
	}
	return err
}

func runFleet(t *testing.T, seed uint64, broken func(*fleet)) (faults []string, seen int) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(seed)
		if broken != nil {
			broken(f)
		}
		f.live(t)
		faults, seen = f.faults, f.seen
	})
	return faults, seen
}

func TestTierModel(t *testing.T) {
	seen := 0
	seedsUpTo(60, func(seed uint64) {
		faults, n := runFleet(t, seed, nil)
		if faults != nil {
			t.Fatalf("seed %d: %d faults, such as %s", seed, len(faults), faults[0])
		}
		seen += n
	})
	if *modelSeed == 0 && seen < 60*20 {
		t.Errorf("the Tier was of use %d times only", seen)
	}
}

// The checker finds a Tier that stores records loaded before a Delete.
func TestTierModelFindsBrokenLeases(t *testing.T) {
	for seed := uint64(1); seed <= 100; seed++ {
		if faults, _ := runFleet(t, seed, func(f *fleet) { f.anyTime = true }); faults != nil {
			return
		}
	}
	t.Error("no fault was found")
}

// The checker finds a memory that outlives MemoryTTL.
func TestTierModelFindsBrokenMemoryTTL(t *testing.T) {
	for _, stale := range []time.Duration{0, 5 * time.Second} {
		found := false
		for seed := uint64(1); seed <= 100 && !found; seed++ {
			faults, _ := runFleet(t, seed, func(f *fleet) { f.keeps, f.stale = Forever, stale })
			found = faults != nil
		}
		if !found {
			t.Errorf("no fault was found with StaleIfError %v", stale)
		}
	}
}

// The checker finds a Newer that accepts any record as a newer one.
func TestTierModelFindsBrokenNewer(t *testing.T) {
	for seed := uint64(1); seed <= 200; seed++ {
		if faults, _ := runFleet(t, seed, func(f *fleet) { f.anyNewer = true }); faults != nil {
			return
		}
	}
	t.Error("no fault was found")
}

// anyNewer is a cache whose Newer accepts records of the Tier as Get does.
type anyNewer struct{ *Cache[int, modelValue] }

func (s anyNewer) Newer(ctx context.Context, key int, than Entry[modelValue]) (Entry[modelValue], error) {
	s.kept.remove(key, func() {})
	return s.Lookup(ctx, key)
}
