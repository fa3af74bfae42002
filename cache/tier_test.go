package cache

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strings"
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
	err     error // returned by every call
	calls   int   // of Get
}

func newFakeTier() *fakeTier {
	return &fakeTier{records: map[string][]byte{}, leases: map[string]map[string]bool{}}
}

func (f *fakeTier) setErr(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeTier) Get(_ context.Context, name string, use func([]byte) bool) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
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

func wantLoads(t *testing.T, o *origin, want int64) {
	t.Helper()
	if got := o.calls.Load(); got != want {
		t.Errorf("%d loads; want %d", got, want)
	}
}

// A record is used until it may be as old as TTL, given the greatest ClockSkew, and not
// if the clocks are farther apart.
func TestTierAge(t *testing.T) {
	for _, tt := range []struct {
		name    string
		passed  time.Duration // until the other container reads it
		off     time.Duration // of its wall clock
		hit     bool
		refused int64
	}{
		{"at once", 0, 0, true, 0},
		{"just in time", 59*time.Second - 1, 0, true, 0},
		{"perhaps too old", 59 * time.Second, 0, false, 0},
		{"reader's clock is behind", 30 * time.Second, -time.Second, true, 0},
		{"from the future, within the skew", 0, -time.Second, true, 0},
		{"from the future, beyond the skew", 0, -time.Second - 1, false, 1},
		{"reader's clock is an hour ahead", 0, time.Hour, false, 0},
		{"reader's clock is an hour behind", 30 * time.Second, -time.Hour, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tier, o, writer, reader := newFakeTier(), &origin{}, clocktest.New(), clocktest.New()
			wantGet(t, newTest(t, o, writer.Clock(), withTier(tier)), "k", "k v1")
			reader.Move(time.Duration(writer.Now().Wall-reader.Now().Wall)+tt.passed+tt.off, 0)
			c := newTest(t, o, reader.Clock(), withTier(tier))
			want := "k v2"
			if tt.hit {
				want = "k v1"
			}
			wantGet(t, c, "k", want)
			if s := c.Stats(); s.TierRejected != tt.refused || s.TierHits+s.TierMisses != 1 {
				t.Errorf("Stats = %+v", s)
			}
		})
	}
}

// A value ages on both clocks from the age that its record had.
func TestTierAgeGoesOn(t *testing.T) {
	for name, move := range map[string]func(*clocktest.Clocks, time.Duration){
		"wall":      func(c *clocktest.Clocks, d time.Duration) { c.Move(d, 0) },
		"monotonic": func(c *clocktest.Clocks, d time.Duration) { c.Move(0, d) },
	} {
		t.Run(name, func(t *testing.T) {
			tier, o, clocks := newFakeTier(), &origin{}, clocktest.New()
			wantGet(t, newTest(t, o, clocks.Clock(), withTier(tier)), "k", "k v1")
			clocks.Move(20*time.Second, 20*time.Second)
			c := newTest(t, o, clocks.Clock(), withTier(tier))
			wantGet(t, c, "k", "k v1")
			move(clocks, 39*time.Second-1)
			if _, ok := c.Peek("k"); !ok {
				t.Error("gone too early")
			}
			move(clocks, 1)
			if _, ok := c.Peek("k"); ok {
				t.Error("served beyond TTL")
			}
		})
	}
}

// If a clock stood still during a load, the other one tells its age; if a clock ran
// back, its age is unknown.
func TestTierAgeOfTheLoad(t *testing.T) {
	for _, tt := range []struct {
		name       string
		wall, mono time.Duration
		kept       bool
		age        time.Duration
	}{
		{"both run", 10 * time.Second, 10 * time.Second, true, 10 * time.Second},
		{"wall clock stands still", 0, 10 * time.Second, true, 10 * time.Second},
		{"monotonic clock stands still", 10 * time.Second, 0, true, 10 * time.Second},
		{"wall clock runs back", -time.Second, 10 * time.Second, false, 0},
		{"too slow", 59 * time.Second, 59 * time.Second, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tier, clocks := newFakeTier(), clocktest.New()
			c := newTest(t, &origin{}, clocks.Clock(), withTier(tier), func(o *Options[string, string]) {
				o.Load = func(context.Context, string) (string, error) {
					clocks.Move(tt.wall, tt.mono)
					return "v", nil
				}
			})
			wantGet(t, c, "k", "v")
			if len(tier.sets) != 1 || tier.sets[0].Lease == "" {
				t.Fatalf("the Tier was given %+v", tier.sets)
			}
			set := tier.sets[0]
			r, ok := decodeRecord(set.Record, identityOf("test/1", shapeOf[string](), "k"))
			if ok != tt.kept {
				t.Fatalf("kept: %v", ok)
			}
			if age := time.Duration(clocks.Now().Wall - r.loaded); ok && (age != tt.age || set.TTL != time.Minute-age) {
				t.Errorf("it says to be %v old, and is to be kept for %v", age, set.TTL)
			}
		})
	}
}

// A record with any change is rejected, and Load replaces it.
func TestTierRecordsAreVerified(t *testing.T) {
	clk := clocktest.New().Clock()
	good := func() []byte {
		tier := newFakeTier()
		wantGet(t, newTest(t, &origin{}, clk, withTier(tier)), "k", "k v1")
		return tier.records["test/1:k"]
	}()
	bad := map[string][]byte{
		"empty":         {},
		"another key":   recordFor(t, clk, "test/1", "l"),
		"another space": recordFor(t, clk, "test/2", "k"),
		"a longer key":  recordFor(t, clk, "test/1", "kk"),
		"twice":         append(good[:len(good):len(good)], good...),
		"not JSON":      (&record{loaded: clk.Now().Wall, ttl: time.Minute, payload: []byte("{")}).encode(identityOf("test/1", shapeOf[string](), "k")),
		"no TTL":        (&record{loaded: clk.Now().Wall, payload: []byte(`"v"`)}).encode(identityOf("test/1", shapeOf[string](), "k")),
		"no date":       (&record{ttl: time.Minute, payload: []byte(`"v"`)}).encode(identityOf("test/1", shapeOf[string](), "k")),
		"version 99":    version99(good),
	}
	for i := range good {
		bad[fmt.Sprintf("cut at %d", i)] = good[:i]
		flipped := append([]byte(nil), good...)
		flipped[i] ^= 0x10
		bad[fmt.Sprintf("byte %d", i)] = flipped
	}
	for name, b := range bad {
		t.Run(name, func(t *testing.T) {
			tier, o := newFakeTier(), &origin{}
			o.calls.Store(10)
			tier.records["test/1:k"] = b
			c := newTest(t, o, clk, withTier(tier))
			wantGet(t, c, "k", "k v11")
			if s := c.Stats(); s.TierRejected != 1 || s.TierMisses != 1 || s.TierErrors != 0 {
				t.Errorf("Stats = %+v", s)
			}
			wantGet(t, newTest(t, o, clk, withTier(tier)), "k", "k v11")
		})
	}
}

func recordFor(t *testing.T, clk *clock.Clock, space, key string) []byte {
	tier := newFakeTier()
	c := newTest(t, &origin{}, clk, withTier(tier), func(o *Options[string, string]) { o.Namespace = space })
	c.Get(background, key)
	return tier.records[space+":"+key]
}

// version99 is a record of another format, with the right checksum.
func version99(b []byte) []byte {
	b = append([]byte(nil), b[:len(b)-4]...)
	b[3] = 99
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// Later versions must read today's records.
func TestRecordFormat(t *testing.T) {
	const want = "77637202" + "0100000000000000" + "00ca9a3b00000000" + "00" + "0700000000000000" + "0500000000000000" + "0673686f702f31" + "a9ed4d160c3c64bf6f501d53ae4aff10" + "016b" + "2276" + "22" + "22157faa"
	r := record{loaded: 1, ttl: time.Second, id: 7, after: 5, payload: []byte(`"v"`)}
	if got := hex.EncodeToString(r.encode(identityOf("shop/1", shapeOf[string](), "k"))); got != want {
		t.Errorf("%s; want %s", got, want)
	}
}

func TestTierNames(t *testing.T) {
	long, other := strings.Repeat("x", 129), strings.Repeat("x", 128)+"y"
	for key, want := range map[string]string{
		"":         "s:",
		"a:b":      "s:a:b",
		"#a":       "s:#a",
		long[:128]: "s:" + long[:128],
		long:       "s#" + hash128(long),
		other:      "s#" + hash128(other),
	} {
		if got := nameOf("s", key); got != want {
			t.Errorf("name of %q: %q; want %q", key, got, want)
		}
	}
	if hash128(long) == hash128(other) || len(hash128(long)) != 32 {
		t.Errorf("hashes %s and %s", hash128(long), hash128(other))
	}
}

func hash128(s string) string {
	h := fnv.New128a()
	h.Write([]byte(s))
	return hex.EncodeToString(h.Sum(nil))
}
