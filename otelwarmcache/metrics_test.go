package otelwarmcache_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/otelwarmcache"
	"github.com/warmcache/warmcache/otelwarmcache/internal/instrumentstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each field of Stats is in exactly one value, so that a new field cannot be forgotten.
func TestEveryFieldIsExported(t *testing.T) {
	t.Run("cache", func(t *testing.T) {
		var s cache.Stats
		want := instrumentstest.Fill(&s)
		reader := sdkmetric.NewManualReader()
		register(t)(otelwarmcache.RegisterCache(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), "c", func() cache.Stats { return s }))
		instrumentstest.CheckEachOnce(t, reader, want)
	})
	t.Run("filecache", func(t *testing.T) {
		var s filecache.Stats
		want := instrumentstest.Fill(&s)
		want.Skip(t, "Misses", "Faults") // the sums of MissesBy and FaultsBy
		want.Skip(t, "Refused")          // FaultsBy counts it as "not private"
		want.Skip(t, "Breaker")          // TestBreakerState
		s.Breaker = filecache.BreakerClosed
		reader := sdkmetric.NewManualReader()
		register(t)(otelwarmcache.RegisterFileCache(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), "f", func() filecache.Stats { return s }))
		instrumentstest.CheckEachOnce(t, reader, want)
	})
	t.Run("value", func(t *testing.T) {
		var s filecache.ValueStats
		want := instrumentstest.Fill(&s)
		reader := sdkmetric.NewManualReader()
		register(t)(otelwarmcache.RegisterValue(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), "v", func() filecache.ValueStats { return s }))
		instrumentstest.CheckEachOnce(t, reader, want)
	})
}

func TestNamesKindsAndUnits(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	register(t)(otelwarmcache.RegisterCache(mp, "c", func() cache.Stats { return cache.Stats{} }))
	register(t)(otelwarmcache.RegisterFileCache(mp, "f", func() filecache.Stats {
		return filecache.Stats{FaultsBy: map[string]int64{"EIO": 1}}
	}))
	register(t)(otelwarmcache.RegisterValue(mp, "v", func() filecache.ValueStats { return filecache.ValueStats{} }))
	instrumentstest.CheckConventions(t, reader, "warmcache.cache.", "warmcache.filecache.", "warmcache.value.")
	instrumentstest.CheckREADME(t, reader, "README.md")
}

// The counts of a real cache arrive at the reader with their attributes, until
// Unregister.
func TestCacheOfAFunction(t *testing.T) {
	products := cache.Must(cache.New(cache.Options[string, int]{
		Load:       func(context.Context, string) (int, error) { return 1, nil },
		TTL:        time.Minute,
		MaxEntries: 2,
	}))
	other := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(context.Context, string) (int, error) { return 0, os.ErrDeadlineExceeded },
		TTL:  time.Minute,
	}))
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	r := register(t)(otelwarmcache.RegisterCache(mp, "products", products.Stats))
	register(t)(otelwarmcache.RegisterCache(mp, "other", other.Stats))

	for _, k := range []string{"a", "a", "b", "c"} {
		if _, err := products.Get(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	other.Get(t.Context(), "a")
	name := attribute.String("warmcache.name", "products")
	for _, tt := range []struct {
		metric string
		attrs  []attribute.KeyValue
		want   int64
	}{
		{"warmcache.cache.requests", []attribute.KeyValue{name, attribute.String("warmcache.result", "hit")}, 1},
		{"warmcache.cache.requests", []attribute.KeyValue{name, attribute.String("warmcache.result", "miss")}, 3},
		{"warmcache.cache.evictions", []attribute.KeyValue{name, attribute.String("warmcache.reason", "max_entries")}, 1},
		{"warmcache.cache.entry.count", []attribute.KeyValue{name}, 2},
		{"warmcache.cache.load.errors", []attribute.KeyValue{name}, 0},
		{"warmcache.cache.load.errors", []attribute.KeyValue{attribute.String("warmcache.name", "other")}, 1},
	} {
		got, ok := instrumentstest.Value(t, reader, tt.metric, tt.attrs...)
		if !ok || got != tt.want {
			t.Errorf("%s %v = %d, %t; want %d", tt.metric, tt.attrs, got, ok, tt.want)
		}
	}

	if err := r.Unregister(); err != nil {
		t.Fatal(err)
	}
	if got, ok := instrumentstest.Value(t, reader, "warmcache.cache.entry.count", name); ok {
		t.Errorf("after Unregister: %d entries", got)
	}
}

func TestBreakerState(t *testing.T) {
	state := filecache.BreakerOpen
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	register(t)(otelwarmcache.RegisterFileCache(mp, "f", func() filecache.Stats { return filecache.Stats{Breaker: state} }))
	for _, state = range []filecache.BreakerState{filecache.BreakerClosed, filecache.BreakerOpen, filecache.BreakerProbing} {
		for _, s := range []string{"closed", "open", "probing"} {
			want := int64(0)
			if s == state.String() {
				want = 1
			}
			got, ok := instrumentstest.Value(t, reader, "warmcache.filecache.breaker.state",
				attribute.String("warmcache.name", "f"), attribute.String("warmcache.breaker.state", s))
			if !ok || got != want {
				t.Errorf("breaker is %v: %s = %d, %t", state, s, got, ok)
			}
		}
	}
}

// Each collection calls Stats once, and nothing else does.
func TestStatsOncePerCollection(t *testing.T) {
	calls := 0
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	register(t)(otelwarmcache.RegisterCache(mp, "c", func() cache.Stats { calls++; return cache.Stats{} }))
	if calls != 0 {
		t.Errorf("%d calls of Stats before the first collection", calls)
	}
	for want := 1; want <= 2; want++ {
		if err := reader.Collect(t.Context(), &metricdata.ResourceMetrics{}); err != nil || calls != want {
			t.Errorf("%d calls of Stats after %d collections, %v", calls, want, err)
		}
	}
}

func TestErrorsOfRegister(t *testing.T) {
	mp := sdkmetric.NewMeterProvider()
	stats := func() cache.Stats { return cache.Stats{} }
	for _, tt := range []struct {
		err  error
		says []string
	}{
		{second(otelwarmcache.RegisterCache(nil, "c", stats)), []string{"otelwarmcache.RegisterCache: ", "otel.GetMeterProvider()"}},
		{second(otelwarmcache.RegisterCache(mp, "", stats)), []string{"otelwarmcache.RegisterCache: ", "name is empty"}},
		{second(otelwarmcache.RegisterCache(mp, "c", nil)), []string{"otelwarmcache.RegisterCache: ", `"c"`}},
		{second(otelwarmcache.RegisterFileCache(mp, "f", nil)), []string{"otelwarmcache.RegisterFileCache: ", `"f"`}},
	} {
		for _, says := range tt.says {
			if tt.err == nil || !strings.Contains(tt.err.Error(), says) {
				t.Errorf("%v does not say %q", tt.err, says)
			}
		}
	}
}
