package cache

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

var (
	modelFor  = flag.Duration("model.long", 0, "how long TestModel and TestTierModel try new seeds")
	modelSeed = flag.Uint64("model.seed", 0, "the only seed that TestModel and TestTierModel try, for model.long; goroutines take turns in another order each time")
)

// seedsUpTo calls run with the seeds 1 to n, and with later ones until model.long is
// over.
func seedsUpTo(n uint64, run func(seed uint64)) {
	first, step := uint64(1), uint64(1)
	if *modelSeed > 0 {
		first, n, step = *modelSeed, 0, 0
	}
	until := time.Now().Add(*modelFor)
	for i := uint64(0); i < max(n, 1) || time.Now().Before(until); i++ {
		run(first + i*step)
	}
}

// The model lets many clients use a cache in a world whose origin changes, whose
// loads are slow and fail, and whose machine is paused at any moment, with a clock
// that stops, jumps and runs back. Each answer to a client is checked against the
// history of the origin:
//
//   - it was the origin's value at some moment in [t-TTL, t], or while the client
//     waited (a load can take longer than TTL);
//   - with StaleIfError up to that much older, but only if a load of the key failed
//     meanwhile or less than RetryAfter before, or if a client with a deadline
//     waited long for the key, or as long as RetryAfter for any key;
//   - with GetWithin it is no older than maxAge, and with Newer it was loaded after
//     the entry that the client had;
//   - it was not loaded before a Delete, Clear or Refresh that ended before the
//     client's call;
//   - a key that failed in a batch is not reported as missing.
//
// One of the two clocks is always right, but the cache does not know which. If both
// fail, no cache can know the age of a value.

// subject is a cache for the model to use. Broken ones show that the checks work.
type subject interface {
	Get(ctx context.Context, key int) (modelValue, error)
	Refresh(ctx context.Context, key int) (modelValue, error)
	GetMany(ctx context.Context, keys []int) ([]Result[modelValue], error)
	RefreshMany(ctx context.Context, keys []int) ([]Result[modelValue], error)
	Lookup(ctx context.Context, key int) (Entry[modelValue], error)
	Newer(ctx context.Context, key int, than Entry[modelValue]) (Entry[modelValue], error)
	GetWithin(ctx context.Context, key int, maxAge time.Duration) (modelValue, error)
	Delete(key int)
	Clear()
}

// modelValue names its load.
type modelValue struct {
	version int // of the origin's value
	load    int // when its load began
}

// version is a value that the origin had for a while.
type version struct {
	from, until time.Duration // in true time; until 0: it still has it
	absent      bool
}

// world is everything around the cache. Moments are numbered in the order of
// events; durations are true time since the start.
type world struct {
	ttl, missingTTL, stale time.Duration
	rightClock             string        // "wall" or "mono"
	failing                int           // per cent of loads
	retry                  time.Duration // RetryAfter
	hurried                bool          // some clients have deadlines
	reload                 bool          // there is a Reload
	late                   time.Duration // how long a failed load may still be joined, when its lease is being given back

	mu        sync.Mutex
	rand      *rand.Rand
	start     time.Time
	paused    time.Duration // time that passed without anything running
	wallErr   time.Duration
	monoErr   time.Duration
	moment    int
	history   map[int][]version
	failed    map[int]int // key: moment of the last failed load
	failedAt  map[int]time.Duration
	newerMin  map[int]int           // key: loads from before this moment must not be seen
	waiting   map[int]waiting       // clients with deadlines, by the moment at which they began to wait
	slowAt    map[int]time.Duration // key: when one of them last had waited for half of its time
	hungAt    time.Duration         // when one of them last had waited for RetryAfter, by its clocks
	changedAt time.Duration         // when a clock last went wrong
	confirmed map[[2]int]int        // of a value's key and load: the moment at which a Reload last revalidated it
	faults    []string
}

// waiting is a client with a deadline that waits for keys.
type waiting struct {
	since time.Duration
	keys  []int
}

const never = -1000 * time.Hour

var errModel = errors.New("model: the origin fails")

func newWorld(seed uint64) *world {
	w := &world{
		rand:      rand.New(rand.NewPCG(seed, 1)),
		start:     time.Now(),
		history:   map[int][]version{},
		failed:    map[int]int{},
		failedAt:  map[int]time.Duration{},
		newerMin:  map[int]int{},
		waiting:   map[int]waiting{},
		slowAt:    map[int]time.Duration{},
		hungAt:    never,
		changedAt: never,
		confirmed: map[[2]int]int{},
	}
	w.ttl = w.pick(time.Second, 10*time.Second, time.Minute)
	w.missingTTL = w.pick(0, 2*time.Second)
	w.stale = w.pick(0, 0, 5*time.Second)
	w.rightClock = []string{"wall", "mono"}[w.rand.IntN(2)]
	w.failing = []int{0, 10, 50}[w.rand.IntN(3)]
	w.retry = w.pick(w.ttl/20, w.ttl/2)
	w.hurried = w.rand.IntN(2) == 0
	w.reload = w.rand.IntN(2) == 0
	return w
}

func (w *world) pick(d ...time.Duration) time.Duration { return d[w.rand.IntN(len(d))] }

// now is the true time. The caller holds mu.
func (w *world) now() time.Duration { return time.Since(w.start) + w.paused }

// read returns the readings of the clocks.
func (w *world) read() clock.Instant {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.now()
	return clock.Instant{Wall: int64(t + w.wallErr), Mono: int64(t + w.monoErr)}
}

// pause lets time pass without anything running; the wrong clock may miss it.
func (w *world) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := time.Duration(w.rand.Int64N(int64(2 * w.ttl)))
	w.paused += d
	if w.rand.IntN(2) == 0 {
		*w.wrongClock() -= d
		w.changedAt = w.now()
	}
}

// jump sets the wrong clock forward or back.
func (w *world) jump() {
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.wrongClock() += time.Duration(w.rand.Int64N(int64(4*w.ttl))) - 2*w.ttl
	w.changedAt = w.now()
}

func (w *world) wrongClock() *time.Duration {
	if w.rightClock == "wall" {
		return &w.monoErr
	}
	return &w.wallErr
}

// write changes the value of the key at the origin, or removes it.
func (w *world) write(key int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.versions(key)
	t := w.now()
	h[len(h)-1].until = max(t, 1)
	w.history[key] = append(h, version{from: t, absent: w.rand.IntN(5) == 0})
}

func (w *world) versions(key int) []version {
	if w.history[key] == nil {
		w.history[key] = []version{{}}
	}
	return w.history[key]
}

func (w *world) next() int {
	w.moment++
	return w.moment
}

func (w *world) sleep(max time.Duration) {
	w.mu.Lock()
	d := time.Duration(w.rand.Int64N(int64(max)))
	w.mu.Unlock()
	time.Sleep(d)
}

// load is the cache's Load: it takes a while, reads the value at some moment meanwhile,
// and may fail.
func (w *world) load(_ context.Context, key int) (modelValue, error) {
	v, err := w.loadSince(w.begin(), key)
	if err == errModel {
		w.fail(key)
	}
	return v, err
}

// begin numbers a load that begins now.
func (w *world) begin() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next()
}

// loadSince is load for one that began at that moment, perhaps with other keys first.
func (w *world) loadSince(began, key int) (modelValue, error) {
	w.mu.Lock()
	slow := w.ttl / 10
	if w.rand.IntN(5) == 0 {
		slow = 3 * w.ttl
	}
	w.mu.Unlock()
	w.sleep(slow)
	w.mu.Lock()
	h := w.versions(key)
	v := modelValue{version: len(h) - 1, load: began}
	absent := h[v.version].absent
	fails := w.rand.IntN(100) < w.failing
	w.mu.Unlock()
	w.sleep(slow)
	if fails {
		return modelValue{}, errModel
	}
	if absent {
		return v, ErrNotFound
	}
	return v, nil
}

// reloadOld is the cache's Reload.
func (w *world) reloadOld(ctx context.Context, key int, old modelValue) (modelValue, error) {
	v, err := w.load(ctx, key)
	if err != nil || v.version != old.version {
		return v, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id := [2]int{key, old.load}
	w.confirmed[id] = max(w.confirmed[id], v.load)
	return modelValue{}, fmt.Errorf("304: %w", ErrUnchanged)
}

// loadOf returns the moment at which the load of a value began, or at which it was
// revalidated. The caller holds mu.
func (w *world) loadOf(key int, v modelValue) int {
	return max(v.load, w.confirmed[[2]int{key, v.load}])
}

// wait records that a client with a deadline waits for keys, until it calls done.
func (w *world) wait(keys ...int) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.next()
	w.waiting[id] = waiting{w.now(), keys}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.slow()
		delete(w.waiting, id)
	}
}

// slow notes if a client has waited for half of the time that the most hurried ones have:
// then the cache takes it for an outage of its keys, and after RetryAfter, of all. The
// caller holds mu.
func (w *world) slow() {
	now := w.now()
	for _, c := range w.waiting {
		if now-c.since < w.ttl/10 {
			continue
		}
		for _, key := range c.keys {
			w.slowAt[key] = now
		}
		if now-c.since >= w.retry || w.changedAt >= c.since {
			w.hungAt = now
		}
	}
}

// mayBeStale reports whether a client that began then may get a stale value of key. The
// caller holds mu.
func (w *world) mayBeStale(key int, began time.Duration) bool {
	since := began - w.retry - w.late
	if w.failed[key] > 0 && w.failedAt[key] >= since {
		return true
	}
	slowAt, ok := w.slowAt[key]
	return ok && slowAt >= since || w.hungAt >= since
}

// fail records that a load of the key ends with a failure. The cache gets the error now,
// though a batch may have met it long before.
func (w *world) fail(key int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[key], w.failedAt[key] = w.next(), w.now()
}

// loadMany is the cache's LoadMany. It may fail for some keys, or from one on, and it
// may return one more.
func (w *world) loadMany(_ context.Context, keys []int) (map[int]modelValue, error) {
	w.mu.Lock()
	how, more := w.rand.IntN(2), w.rand.IntN(4) == 0
	w.mu.Unlock()
	values, failed := map[int]modelValue{}, KeyErrors[int]{}
	began := w.begin()
	for _, key := range keys {
		v, err := w.loadSince(began, key)
		switch {
		case err == nil:
			values[key] = v
		case err == ErrNotFound:
			if how == 1 {
				failed[key] = err
			}
		case how == 0:
			failed[key] = err
		default:
			for _, key := range keys {
				if _, ok := values[key]; !ok {
					w.fail(key)
				}
			}
			return values, err
		}
	}
	if more {
		if v, err := w.loadSince(began, modelKeys-1); err == nil {
			values[modelKeys-1] = v
		}
	}
	for key, err := range failed {
		if err == errModel {
			w.fail(key)
		}
	}
	return values, failed
}

// asked is the instant at which a client's call began.
type asked struct {
	what     string
	moment   int
	at       time.Duration
	min      map[int]int   // loads from before must not be seen
	minFresh map[int]int   // those from before only as stale values
	maxAge   time.Duration // of GetWithin; else zero
}

func (w *world) ask(what string, keys ...int) asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := asked{what: what, moment: w.next(), at: w.now(), min: map[int]int{}}
	for _, key := range keys {
		a.min[key] = w.newerMin[key]
	}
	return a
}

// answered checks an answer.
func (w *world) answered(a asked, key int, v modelValue, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next()
	w.slow()
	t := w.now()
	bound, least := w.ttl, a.min[key]
	switch {
	case errors.Is(err, ErrNotFound):
		w.checkAbsent(a, key, t)
		return
	case err != nil:
		return // the origin's error, or the client's own time is over
	case w.mayBeStale(key, a.at):
		bound += w.stale
	default:
		least = max(least, a.minFresh[key])
	}
	if a.maxAge > 0 {
		bound = min(bound, a.maxAge)
	}
	h := w.versions(key)
	if v.version >= len(h) || h[v.version].absent {
		w.fault("%s of key %d at %v: a value that never was: %+v", a.what, key, t, v)
		return
	}
	if until, since := h[v.version].until, min(a.at, t-bound); until > 0 && until < since {
		w.fault("%s of key %d at %v, asked at %v: version %d was replaced at %v; the bound is %v", a.what, key, t, a.at, v.version, until, bound)
	}
	if w.loadOf(key, v) < least {
		w.fault("%s of key %d at %v: load %d began before the invalidation at %d", a.what, key, t, v.load, least)
	}
}

// checkAbsent checks an answer that the key does not exist. The caller holds mu.
func (w *world) checkAbsent(a asked, key int, t time.Duration) {
	since := t - w.missingTTL
	if a.maxAge > 0 {
		since = max(since, t-a.maxAge)
	}
	since = min(a.at, since)
	for _, v := range w.versions(key) {
		if v.absent && (v.until == 0 || v.until >= since) {
			return
		}
	}
	w.fault("%s of key %d at %v, asked at %v: said not to exist, but did", a.what, key, t, a.at)
}

func (w *world) fault(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// asError returns the error that Get would return.
func (r Result[V]) asError() error {
	if r.Err == nil && !r.Found {
		return ErrNotFound
	}
	return r.Err
}

// invalidated records that loads from before the moment must not be seen any more.
func (w *world) invalidated(moment int, keys ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		w.newerMin[key] = max(w.newerMin[key], moment)
	}
}

const modelKeys = 3

// user is a client's view of the world: its own, or that of one container.
type user interface {
	ask(what string, keys ...int) asked
	invalidated(moment int, keys ...int)
	delete(ctx context.Context, s subject, key int)
}

func (w *world) delete(_ context.Context, s subject, key int) {
	a := w.ask("Delete")
	s.Delete(key)
	w.invalidated(a.moment, key)
}

// client makes one call. It may keep its answer in entries.
func (w *world) client(u user, s subject, entries map[int]Entry[modelValue]) {
	w.mu.Lock()
	key, what := w.rand.IntN(modelKeys), w.rand.IntN(100)
	patience := w.pick(w.ttl/5, w.ttl, 10*w.ttl)
	hurried := w.hurried && w.rand.IntN(2) == 0
	maxAge := w.pick(w.ttl/10, w.ttl/2, 2*w.ttl)
	w.mu.Unlock()
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if hurried {
		keys := []int{key}
		if 60 <= what && what < 75 { // of many keys
			keys = append(keys, (key+1)%modelKeys)
		}
		defer w.wait(keys...)()
		ctx, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	switch {
	case what < 35:
		a := u.ask("Get", key)
		v, err := s.Get(ctx, key)
		w.answered(a, key, v, err)
	case what < 45:
		a := u.ask("Lookup", key)
		e, err := s.Lookup(ctx, key)
		w.answered(a, key, e.Value, err)
		if err == nil {
			entries[key] = e
		}
	case what < 53:
		than, ok := entries[key]
		if !ok {
			return
		}
		a := u.ask("Newer", key)
		w.mu.Lock()
		a.min[key] = max(a.min[key], than.Value.load+1)
		w.mu.Unlock()
		e, err := s.Newer(ctx, key, than)
		w.answered(a, key, e.Value, err)
		if err == nil {
			entries[key] = e
		}
	case what < 60:
		a := u.ask("GetWithin", key)
		a.maxAge = maxAge
		v, err := s.GetWithin(ctx, key, maxAge)
		w.answered(a, key, v, err)
	case what < 63:
		keys := []int{key, (key + 1) % modelKeys}
		a := u.ask("RefreshMany", keys...)
		results, _ := s.RefreshMany(ctx, keys)
		for i, r := range results {
			w.answered(a, keys[i], r.Value, r.asError())
			if r.Err == nil {
				u.invalidated(a.moment, keys[i])
			}
		}
	case what < 75:
		keys := []int{key, (key + 1) % modelKeys}
		a := u.ask("GetMany", keys...)
		results, _ := s.GetMany(ctx, keys)
		for i, r := range results {
			w.answered(a, keys[i], r.Value, r.asError())
		}
	case what < 80:
		a := u.ask("Refresh", key)
		v, err := s.Refresh(ctx, key)
		w.answered(a, key, v, err)
		if err == nil || errors.Is(err, ErrNotFound) {
			u.invalidated(a.moment, key)
		}
	case what < 90:
		u.delete(ctx, s, key)
	case what < 92:
		a := u.ask("Clear")
		s.Clear()
		u.invalidated(a.moment, 0, 1, 2)
	default:
		w.write(key)
	}
}

// live runs clients and the faults of the machine for a while.
func (w *world) live(s subject) {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			entries := map[int]Entry[modelValue]{}
			for range 40 {
				w.client(w, s, entries)
				w.sleep(w.ttl / 4)
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			w.sleep(2 * w.ttl)
			w.pause()
			w.sleep(2 * w.ttl)
			w.jump()
		}
	})
	wg.Wait()
	time.Sleep(100 * w.ttl) // abandoned loads end
}

func (w *world) newCache(t *testing.T) *Cache[int, modelValue] {
	c, err := newCache(w.options(), clock.NewFake(w.read))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// options returns the options of the world's caches.
func (w *world) options() Options[int, modelValue] {
	o := Options[int, modelValue]{
		Load:         w.load,
		LoadMany:     w.loadMany,
		TTL:          w.ttl,
		MissingTTL:   w.missingTTL,
		StaleIfError: w.stale,
		Jitter:       0.1,
		LoadTimeout:  4 * w.ttl,
	}
	if w.reload {
		o.Reload = w.reloadOld
	}
	if w.stale > 0 {
		// A load that timed out would be one more reason for an old value, which the
		// world does not see.
		o.LoadTimeout, o.RetryAfter = Forever, w.retry
	}
	return o
}

func runModel(t *testing.T, seed uint64, broken func(*world, *Cache[int, modelValue]) subject) (faults []string) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(seed)
		c := w.newCache(t)
		var s subject = c
		if broken != nil {
			s = broken(w, c)
		}
		w.live(s)
		faults = w.faults
	})
	return faults
}

func TestModel(t *testing.T) {
	seedsUpTo(100, func(seed uint64) {
		if faults := runModel(t, seed, nil); faults != nil {
			t.Fatalf("seed %d: %d faults, such as %s", seed, len(faults), faults[0])
		}
	})
}

func FuzzModel(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		if faults := runModel(t, seed, nil); faults != nil {
			t.Fatalf("%d faults, such as %s", len(faults), faults[0])
		}
	})
}

// The checker finds the faults of broken caches.
func TestModelFindsBrokenCaches(t *testing.T) {
	for name, broken := range map[string]func(*world, *Cache[int, modelValue]) subject{
		"never expires":               func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{ttl: Forever}) },
		"monotonic clock alone":       func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{noWall: true}) },
		"wall clock alone":            func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{noMono: true}) },
		"age from the load's end":     func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{fromEnd: true}) },
		"Delete does nothing":         func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{noDelete: true}) },
		"late load after Delete kept": func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{}) },
		"Newer returns what is kept":  func(w *world, c *Cache[int, modelValue]) subject { return notNewer{c} },
		"GetWithin is Get":            func(w *world, c *Cache[int, modelValue]) subject { return notWithin{c} },
		"failed keys do not exist":    func(w *world, c *Cache[int, modelValue]) subject { return lostErrors{c} },
		"RetryAfter is too long":      func(w *world, c *Cache[int, modelValue]) subject { return neverRetries(w, t) },
		"Reload confirms anything":    func(w *world, c *Cache[int, modelValue]) subject { return blindReload(w, t) },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 5000; seed++ { // a rare order of goroutines may be needed
				if runModel(t, seed, broken) != nil {
					return
				}
			}
			t.Error("no fault was found")
		})
	}
}

// notNewer ignores the entry that the client has.
type notNewer struct{ *Cache[int, modelValue] }

func (s notNewer) Newer(ctx context.Context, key int, _ Entry[modelValue]) (Entry[modelValue], error) {
	return s.Lookup(ctx, key)
}

// notWithin ignores maxAge.
type notWithin struct{ *Cache[int, modelValue] }

func (s notWithin) GetWithin(ctx context.Context, key int, _ time.Duration) (modelValue, error) {
	return s.Get(ctx, key)
}

// lostErrors reports keys that failed as keys that do not exist.
type lostErrors struct{ *Cache[int, modelValue] }

func (s lostErrors) GetMany(ctx context.Context, keys []int) ([]Result[modelValue], error) {
	r, err := s.Cache.GetMany(ctx, keys)
	for i := range r {
		r[i].Err = nil
	}
	return r, err
}

// neverRetries serves a stale value as long as possible after one failure.
func neverRetries(w *world, t *testing.T) subject {
	w.hurried = false
	o := w.options()
	if w.stale > 0 {
		o.RetryAfter = w.stale
	}
	c, err := newCache(o, clock.NewFake(w.read))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// blindReload revalidates values without reading the origin.
func blindReload(w *world, t *testing.T) subject {
	o := w.options()
	o.Reload = func(context.Context, int, modelValue) (modelValue, error) { return modelValue{}, ErrUnchanged }
	c, err := newCache(o, clock.NewFake(w.read))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// naive is a plain map with a TTL, without flights, and with a fault.
type naive struct {
	*Cache[int, modelValue] // for the methods that it does not have
	ttl                     time.Duration
	noWall, noMono          bool
	fromEnd, noDelete       bool

	w    *world
	mu   sync.Mutex
	kept map[int]naiveItem
}

type naiveItem struct {
	v  modelValue
	at clock.Instant
}

func newNaive(w *world, c *Cache[int, modelValue], n *naive) *naive {
	n.Cache, n.w, n.kept = c, w, map[int]naiveItem{}
	if n.ttl == 0 {
		n.ttl = w.ttl
	}
	return n
}

func (n *naive) read() clock.Instant {
	i := n.w.read()
	if n.noWall {
		i.Wall = i.Mono
	}
	if n.noMono {
		i.Mono = i.Wall
	}
	return i
}

func (n *naive) Get(ctx context.Context, key int) (modelValue, error) {
	now := n.read()
	n.mu.Lock()
	it, ok := n.kept[key]
	n.mu.Unlock()
	if ok && it.at.Within(n.ttl, now) {
		return it.v, nil
	}
	v, err := n.w.load(ctx, key)
	if n.fromEnd {
		now = n.read()
	}
	if err == nil {
		n.mu.Lock()
		n.kept[key] = naiveItem{v, now}
		n.mu.Unlock()
	}
	return v, err
}

func (n *naive) Delete(key int) {
	if n.noDelete {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.kept, key)
}
