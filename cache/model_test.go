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

var modelFor = flag.Duration("model.long", 0, "how long TestModel tries new seeds")

// The model lets many clients use a cache in a world whose origin changes, whose
// loads are slow and fail, and whose machine is paused at any moment, with a clock
// that stops, jumps and runs back. What each client gets is checked against the
// history of the origin:
//
//   - it was the origin's value at some moment in [t-TTL, t], or while the client
//     waited (a load can take longer than TTL);
//   - with StaleIfError up to that much older, but only if a load failed
//     meanwhile;
//   - it was not loaded before a Delete, Clear or Refresh that ended before the
//     client asked.
//
// One of the two clocks, it is not known which, is always right: no cache can tell
// the age of anything if both fail.

// subject is a cache as the model uses it. Broken ones show that the checks work.
type subject interface {
	Get(ctx context.Context, key int) (modelValue, error)
	Refresh(ctx context.Context, key int) (modelValue, error)
	GetMany(ctx context.Context, keys []int) ([]Result[modelValue], error)
	Delete(key int)
	Clear()
}

// modelValue says where it came from.
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
	late                   time.Duration // how long a failed load may still be joined, when its lease is being given back

	mu       sync.Mutex
	rand     *rand.Rand
	start    time.Time
	paused   time.Duration // time that passed without anything running
	wallErr  time.Duration
	monoErr  time.Duration
	moment   int
	history  map[int][]version
	failed   map[int]int // key: moment of the last failed load
	failedAt map[int]time.Duration
	newerMin map[int]int // key: loads from before this moment must not be seen
	faults   []string
}

var errModel = errors.New("model: the origin fails")

func newWorld(seed uint64) *world {
	w := &world{
		rand:     rand.New(rand.NewPCG(seed, 1)),
		start:    time.Now(),
		history:  map[int][]version{},
		failed:   map[int]int{},
		failedAt: map[int]time.Duration{},
		newerMin: map[int]int{},
	}
	w.ttl = w.pick(time.Second, 10*time.Second, time.Minute)
	w.missingTTL = w.pick(0, 2*time.Second)
	w.stale = w.pick(0, 0, 5*time.Second)
	w.rightClock = []string{"wall", "mono"}[w.rand.IntN(2)]
	w.failing = []int{0, 10, 50}[w.rand.IntN(3)]
	return w
}

func (w *world) pick(d ...time.Duration) time.Duration { return d[w.rand.IntN(len(d))] }

// now is the true time. The caller holds mu.
func (w *world) now() time.Duration { return time.Since(w.start) + w.paused }

// read is what the clocks show.
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
	}
}

// jump sets the wrong clock forward or back.
func (w *world) jump() {
	w.mu.Lock()
	defer w.mu.Unlock()
	*w.wrongClock() += time.Duration(w.rand.Int64N(int64(4*w.ttl))) - 2*w.ttl
}

func (w *world) wrongClock() *time.Duration {
	if w.rightClock == "wall" {
		return &w.monoErr
	}
	return &w.wallErr
}

// write gives the key a new value at the origin, or takes it away.
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

// load is the cache's Load: it takes a while, reads somewhere in the middle, and
// may fail.
func (w *world) load(_ context.Context, key int) (modelValue, error) {
	w.mu.Lock()
	began := w.next()
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
		w.mu.Lock()
		w.fail(key)
		w.mu.Unlock()
		return modelValue{}, errModel
	}
	if absent {
		return v, ErrNotFound
	}
	return v, nil
}

// fail notes that a load has failed. The caller holds mu.
func (w *world) fail(key int) { w.failed[key], w.failedAt[key] = w.next(), w.now() }

func (w *world) loadMany(ctx context.Context, keys []int) (map[int]modelValue, error) {
	values := map[int]modelValue{}
	for _, key := range keys {
		v, err := w.load(ctx, key)
		switch {
		case err == nil:
			values[key] = v
		case !errors.Is(err, ErrNotFound):
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, key := range keys { // it failed for all
				w.fail(key)
			}
			return nil, err
		}
	}
	return values, nil
}

// asked is the beginning of a client's question.
type asked struct {
	what   string
	moment int
	at     time.Duration
	min    map[int]int // loads from before are out of the question
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
	t := w.now()
	bound := w.ttl
	switch {
	case errors.Is(err, ErrNotFound):
		w.checkAbsent(a, key, t)
		return
	case err != nil:
		return // the origin's, or the client's own time is over
	case w.late > 0 && w.failed[key] > 0 && w.failedAt[key] > a.at-w.late:
		bound += w.stale
	case w.failed[key] > a.moment || a.what == "GetMany" && w.failedSince(a.moment):
		bound += w.stale
	}
	h := w.versions(key)
	if v.version >= len(h) || h[v.version].absent {
		w.fault("%s of key %d at %v: a value that never was: %+v", a.what, key, t, v)
		return
	}
	if until, since := h[v.version].until, min(a.at, t-bound); until > 0 && until < since {
		w.fault("%s of key %d at %v, asked at %v: version %d was replaced at %v; the bound is %v", a.what, key, t, a.at, v.version, until, bound)
	}
	if v.load < a.min[key] {
		w.fault("%s of key %d at %v: load %d began before the invalidation at %d", a.what, key, t, v.load, a.min[key])
	}
}

// failedSince reports whether any load has failed since. The caller holds mu.
func (w *world) failedSince(moment int) bool {
	for _, m := range w.failed {
		if m > moment {
			return true
		}
	}
	return false
}

// checkAbsent checks the answer that there is no such key. The caller holds mu.
func (w *world) checkAbsent(a asked, key int, t time.Duration) {
	since := min(a.at, t-w.missingTTL)
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

// invalidated notes that loads from before the moment must not be seen any more.
func (w *world) invalidated(moment int, keys ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		w.newerMin[key] = max(w.newerMin[key], moment)
	}
}

const modelKeys = 3

// client does one thing.
func (w *world) client(s subject) {
	w.mu.Lock()
	key, what := w.rand.IntN(modelKeys), w.rand.IntN(100)
	patience := w.pick(w.ttl/5, w.ttl, 10*w.ttl)
	hurried := w.rand.IntN(2) == 0
	w.mu.Unlock()
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if hurried {
		ctx, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	switch {
	case what < 60:
		a := w.ask("Get", key)
		v, err := s.Get(ctx, key)
		w.answered(a, key, v, err)
	case what < 75:
		keys := []int{key, (key + 1) % modelKeys}
		a := w.ask("GetMany", keys...)
		results, _ := s.GetMany(ctx, keys) // an error leaves nothing to check
		for i, r := range results {
			var err error
			if !r.Found {
				err = ErrNotFound
			}
			w.answered(a, keys[i], r.Value, err)
		}
	case what < 80:
		a := w.ask("Refresh", key)
		v, err := s.Refresh(ctx, key)
		w.answered(a, key, v, err)
		if err == nil || errors.Is(err, ErrNotFound) {
			w.invalidated(a.moment, key)
		}
	case what < 90:
		a := w.ask("Delete")
		s.Delete(key)
		w.invalidated(a.moment, key)
	case what < 92:
		a := w.ask("Clear")
		s.Clear()
		w.invalidated(a.moment, 0, 1, 2)
	default:
		w.write(key)
	}
}

// live lets clients, and what befalls the machine, run for a while.
func (w *world) live(s subject) {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 40 {
				w.client(s)
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
	time.Sleep(100 * w.ttl) // abandoned loads come home
}

func (w *world) newCache(t *testing.T) *Cache[int, modelValue] {
	// With StaleIfError a timed-out load would be one more reason for an old
	// value, which the world does not see.
	timeout := 4 * w.ttl
	if w.stale > 0 {
		timeout = 0
	}
	c, err := newCache(Options[int, modelValue]{
		Load:         w.load,
		LoadMany:     w.loadMany,
		TTL:          w.ttl,
		MissingTTL:   w.missingTTL,
		StaleIfError: w.stale,
		Jitter:       0.1,
		LoadTimeout:  timeout,
	}, clock.NewFake(w.read))
	if err != nil {
		t.Fatal(err)
	}
	return c
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
	until := time.Now().Add(*modelFor)
	for seed := uint64(1); seed <= 100 || time.Now().Before(until); seed++ {
		if faults := runModel(t, seed, nil); faults != nil {
			t.Fatalf("seed %d: %d faults, such as %s", seed, len(faults), faults[0])
		}
	}
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

// The checker finds what is wrong with caches that are.
func TestModelFindsBrokenCaches(t *testing.T) {
	for name, broken := range map[string]func(*world, *Cache[int, modelValue]) subject{
		"never expires":               func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{ttl: Forever}) },
		"monotonic clock alone":       func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{noWall: true}) },
		"wall clock alone":            func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{noMono: true}) },
		"age from the load's end":     func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{fromEnd: true}) },
		"Delete does nothing":         func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{noDelete: true}) },
		"late load after Delete kept": func(w *world, c *Cache[int, modelValue]) subject { return newNaive(w, c, &naive{}) },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 200; seed++ {
				if runModel(t, seed, broken) != nil {
					return
				}
			}
			t.Error("no fault was found")
		})
	}
}

// naive is a plain map with a TTL, without flights, and with a fault.
type naive struct {
	*Cache[int, modelValue] // for what it does not do itself
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
