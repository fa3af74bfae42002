//go:build unix

package redistier

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/cache"
)

func TestMain(m *testing.M) {
	redis.SetLogger(&logged)
	goleak.VerifyTestMain(m)
}

// logged collects the client's log.
var logged logs

type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Printf(_ context.Context, format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", v...)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var background = context.Background()

// origin counts its loads; its values are numbered.
type origin struct {
	loads atomic.Int64
	slow  time.Duration
}

func (o *origin) load(_ context.Context, key string) (string, error) {
	n := o.loads.Add(1)
	time.Sleep(o.slow)
	return fmt.Sprintf("%s v%d", key, n), nil
}

func (o *origin) loadMany(ctx context.Context, keys []string) (map[string]string, error) {
	m := map[string]string{}
	for _, k := range keys {
		m[k], _ = o.load(ctx, k)
	}
	return m, nil
}

// newCache returns a container's cache.
func newCache(t testing.TB, tier cache.Tier, o *origin, change ...func(*cache.Options[string, string])) *cache.Cache[string, string] {
	t.Helper()
	opts := cache.Options[string, string]{
		Load: o.load, LoadMany: o.loadMany, TTL: time.Hour, TierTimeout: 5 * time.Minute,
		Tier: tier, Namespace: "test/1", Codec: cache.JSON[string](),
	}
	for _, f := range change {
		f(&opts)
	}
	c, err := cache.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// patient is for tests that are not about time: the machine may be busy.
func patient(client redis.UniversalClient) Options {
	return Options{Client: client, Timeout: time.Minute}
}

// patientClient returns the options of a client for the same tests.
func patientClient(addrs ...string) *redis.UniversalOptions {
	return &redis.UniversalOptions{Addrs: addrs, DialTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute}
}

func newTier(t testing.TB, o Options) *Tier {
	t.Helper()
	tier, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tier
}

func wantGet(t *testing.T, c *cache.Cache[string, string], key, want string) {
	t.Helper()
	if got, err := c.Get(background, key); got != want || err != nil {
		t.Errorf("Get(%q) = %q, %v; want %q", key, got, err, want)
	}
}

func TestContainersShare(t *testing.T) {
	s, o := startSocket(t), &origin{}
	tier := newTier(t, patient(s.client()))
	a, b := newCache(t, tier, o), newCache(t, newTier(t, patient(s.client())), o)
	wantGet(t, a, "k", "k v1")
	wantGet(t, b, "k", "k v1")
	if ttl := s.do("PTTL", "warmcache:{test/1:k}").(int64); ttl <= 0 || ttl > 3_600_000 {
		t.Errorf("the record is kept for %d ms", ttl)
	}
	if keys := s.do("KEYS", "*").([]any); len(keys) != 1 {
		t.Errorf("the server keeps %q", keys)
	}
	if err := b.Invalidate(background, "k"); err != nil {
		t.Error(err)
	}
	wantGet(t, newCache(t, tier, o), "k", "k v2")
	wantGet(t, a, "k", "k v1") // it does not see the Delete until TTL
	if v, err := a.Refresh(background, "k"); v != "k v3" || err != nil {
		t.Errorf("Refresh = %q, %v", v, err)
	}
	wantGet(t, newCache(t, tier, o), "k", "k v3")
}

func TestGetMany(t *testing.T) {
	s, o := startSocket(t), &origin{}
	a, b := newCache(t, newTier(t, patient(s.client())), o), newCache(t, newTier(t, patient(s.client())), o)
	var keys, want []string
	for i := range 120 {
		keys, want = append(keys, fmt.Sprintf("key %d {x}", i)), append(want, fmt.Sprintf("key %d {x} v%d", i, i+1))
	}
	for _, ask := range []struct {
		c     *cache.Cache[string, string]
		n     int
		loads int64
	}{{a, 100, 100}, {b, 120, 120}, {newCache(t, newTier(t, patient(s.client())), o), 120, 120}} {
		results, err := ask.c.GetMany(background, keys[:ask.n])
		var got []string
		for _, r := range results {
			got = append(got, r.Value)
		}
		if err != nil || !slices.Equal(got, want[:ask.n]) || o.loads.Load() != ask.loads {
			t.Errorf("GetMany = %q, %v after %d loads", got, err, o.loads.Load())
		}
	}
	if s := b.Stats(); s.TierHits != 100 || s.TierMisses != 20 || s.TierErrors != 0 {
		t.Errorf("Stats = %+v", s)
	}
	if keys := s.do("KEYS", "*").([]any); len(keys) != 120 {
		t.Errorf("the server keeps %d keys", len(keys))
	}
}

// A value that was loaded before a Delete, an eviction or a flush is not stored after
// it.
func TestLeasesEnd(t *testing.T) {
	s := startSocket(t)
	tier := newTier(t, patient(s.client()))
	none := func([]byte) bool { return false }
	record := func(lease string) cache.TierRecord {
		return cache.TierRecord{Name: "n", Lease: lease, Record: []byte("old"), TTL: time.Minute}
	}
	for name, end := range map[string]func(){
		"Delete":         func() { tier.Delete(background, "n") },
		"flush":          func() { s.do("FLUSHALL") },
		"eviction":       func() { s.do("DEL", "warmcache:{n}e") },
		"restart":        func() { s.kill(); s.start() },
		"another record": func() { tier.Get(background, "n", none) }, // which deletes nothing
	} {
		for _, again := range []bool{false, true} {
			if name == "another record" && !again {
				continue
			}
			t.Run(fmt.Sprintf("%s, asked again %v", name, again), func(t *testing.T) {
				s.do("FLUSHALL")
				lease, err := tier.Get(background, "n", none)
				if err != nil || lease == "" {
					t.Fatal(err)
				}
				end()
				if again {
					if _, err := tier.Get(background, "n", none); err != nil {
						t.Fatal(err)
					}
				}
				if err := tier.Set(background, record(lease)); err != nil {
					t.Fatal(err)
				}
				kept := false
				tier.Get(background, "n", func([]byte) bool { kept = true; return true })
				if kept != (name == "another record") {
					t.Errorf("kept: %v", kept)
				}
			})
		}
	}
}

// A thousand containers that start at once load each key once, or a little more often
// if the machine is busy.
func TestStampede(t *testing.T) {
	s, o := startSocket(t, "--maxclients", "4000"), &origin{slow: 50 * time.Millisecond}
	client := s.client(func(o *redis.UniversalOptions) { o.PoolSize, o.PoolTimeout = 100, time.Minute })
	var wg sync.WaitGroup
	start, wrong := make(chan bool), atomic.Int64{}
	for range 1000 {
		options := patient(client)
		options.Lease, options.Wait = 20*time.Second, time.Minute
		c := newCache(t, newTier(t, options), o)
		wg.Go(func() {
			<-start
			if v, err := c.Get(background, "k"); v != "k v1" || err != nil {
				wrong.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := o.loads.Load(); n > 3 || wrong.Load() > 0 {
		t.Errorf("%d loads, %d wrong answers", n, wrong.Load())
	}
	if keys := s.do("KEYS", "*").([]any); len(keys) != 1 {
		t.Errorf("the lease was not given back: %q", keys)
	}
}

func TestStampedeOfGetMany(t *testing.T) {
	s, o := startSocket(t), &origin{slow: time.Millisecond}
	client := s.client(func(o *redis.UniversalOptions) { o.PoolSize, o.PoolTimeout = 100, time.Minute })
	keys := strings.Fields("a b c d e f g h i j")
	var wg sync.WaitGroup
	start := make(chan bool)
	for range 200 {
		options := patient(client)
		options.Lease, options.Wait = 20*time.Second, time.Minute
		c := newCache(t, newTier(t, options), o)
		wg.Go(func() {
			<-start
			if _, err := c.GetMany(background, keys); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := o.loads.Load(); n > 3*int64(len(keys)) {
		t.Errorf("%d loads of %d keys", n, len(keys))
	}
}

// A container that dies while it loads costs the others a wait, and one more load.
func TestLostLease(t *testing.T) {
	s, o := startSocket(t), &origin{}
	dead := newTier(t, patient(s.client()))
	if lease, err := dead.Get(background, "test/1:k", nil); lease == "" || err != nil {
		t.Fatal(err)
	}
	s.do("PERSIST", "warmcache:{test/1:k}l")
	options := patient(s.client())
	options.Lease, options.Wait = 20*time.Second, time.Minute
	tier := newTier(t, options)
	var wg sync.WaitGroup
	for range 20 {
		c := newCache(t, tier, o)
		wg.Go(func() { wantGet(t, c, "k", "k v1") })
	}
	waitFor(t, "a container to wait", func() bool { return tier.Stats().Waits > 0 })
	s.do("DEL", "warmcache:{test/1:k}l") // as when it expires
	wg.Wait()
	if s := tier.Stats(); s.Leases != 1 || s.Waits == 0 || s.Failures != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// A container that stops waiting loads without a lease, and caches the value all the
// same.
func TestWaitIsBounded(t *testing.T) {
	s, o := startSocket(t), &origin{}
	dead := newTier(t, patient(s.client()))
	dead.Get(background, "test/1:k", nil)
	s.do("PERSIST", "warmcache:{test/1:k}l")
	for _, wait := range []time.Duration{-1, 10 * time.Millisecond} {
		options := patient(s.client())
		options.Wait = wait
		c := newCache(t, newTier(t, options), o)
		c.Get(background, "k")
	}
	wantGet(t, newCache(t, dead, o), "k", "k v1")
}

func TestOptions(t *testing.T) {
	good := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}}))
	for want, o := range map[string]Options{
		"Options.Client is nil": {},
		"ContextTimeoutEnabled": {Client: closed(t, redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}))},
		"replicas": {Client: closed(t, Connect(&redis.UniversalOptions{
			Addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}, RouteByLatency: true}))},
		"client-side cache": {Client: closed(t, redis.NewClient(&redis.Options{
			Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}}))},
		"*redis.Ring":            {Client: closed(t, redis.NewRing(&redis.RingOptions{}))},
		"must not be negative":   {Client: good, Timeout: -1},
		"at least a millisecond": {Client: good, Lease: 1},
		"brace":                  {Client: good, Prefix: "{x}"},
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v; want %q", err, want)
		}
	}
	if _, err := New(Options{Client: good}); err != nil {
		t.Error(err)
	}
	defer func() {
		if err, _ := recover().(error); err == nil || !strings.HasPrefix(err.Error(), "redistier.New: ") {
			t.Errorf("Must panicked with %v", err)
		}
	}()
	Must(New(Options{}))
}

func TestSlots(t *testing.T) {
	s := startSocket(t, "--cluster-enabled", "yes")
	for _, name := range []string{"shop/1:a", "123456789", "shop/1:x}y", "shop/1:{a}", "s:}{}", "s:\x00\xff"} {
		for _, key := range (&Tier{opts: Options{Prefix: "p:"}}).keys(name) {
			if slot := s.do("CLUSTER", "KEYSLOT", key).(int64); slot != int64(slotOf(name)) {
				t.Errorf("%q is in slot %d, not in %d", key, slot, slotOf(name))
			}
		}
	}
}
