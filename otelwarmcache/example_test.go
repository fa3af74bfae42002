package otelwarmcache_test

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/otelwarmcache"
	"github.com/warmcache/warmcache/reuse"
)

type Product struct{ Name string }

func loadProduct(ctx context.Context, sku string) (Product, error) {
	return Product{"Lamp"}, nil // SELECT ... WHERE sku = ?
}

// Each load is a span below that of the invocation.
var products = cache.Must(cache.New(cache.Options[string, Product]{
	Load: otelwarmcache.Traced(otel.Tracer("shop"), "load product", loadProduct),
	TTL:  time.Minute,
}))

// The reader of a real function is a PeriodicReader with an exporter.
func Example() {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	if _, err := otelwarmcache.RegisterCache(provider, "products", products.Stats); err != nil {
		fmt.Println(err) // the function works without metrics
	}

	for range 3 {
		products.Get(context.Background(), "sku-42")
	}

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &collected); err != nil {
		fmt.Println(err)
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if m.Name != "warmcache.cache.requests" {
			continue
		}
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			result, _ := p.Attributes.Value("warmcache.result")
			name, _ := p.Attributes.Value("warmcache.name")
			fmt.Println(name.AsString(), result.AsString(), p.Value)
		}
	}
	// Unordered output:
	// products hit 2
	// products miss 1
}

func ExampleTraced() {
	loadMany := func(ctx context.Context, skus []string) (map[string]Product, error) {
		return map[string]Product{"sku-42": {"Lamp"}}, nil // SELECT ... WHERE sku = ANY(?)
	}
	products := cache.Must(cache.New(cache.Options[string, Product]{
		Load:     otelwarmcache.Traced(otel.Tracer("shop"), "load product", loadProduct),
		LoadMany: otelwarmcache.Traced(otel.Tracer("shop"), "load products", loadMany),
		TTL:      time.Minute,
	}))
	found, err := products.GetMany(context.Background(), []string{"sku-42"})
	fmt.Println(found[0].Value, err)
	// Output: {Lamp} <nil>
}

func ExampleRegisterFileCache() {
	var files = filecache.Must(filecache.New(filecache.Options{MaxAge: 5 * time.Minute}))
	registration, err := otelwarmcache.RegisterFileCache(otel.GetMeterProvider(), "models", files.Stats)
	fmt.Println(err)
	fmt.Println(registration.Unregister())
	// Output:
	// <nil>
	// <nil>
}

func ExampleAttributes() {
	var reused = reuse.New() // a package-level variable in a real function
	handle := func(ctx context.Context) {
		inv := reused.Begin()
		trace.SpanFromContext(ctx).SetAttributes(otelwarmcache.Attributes(inv)...)
		fmt.Println(otelwarmcache.Attributes(inv)[0].Value.AsBool())
	}
	handle(context.Background())
	handle(context.Background())
	// Output:
	// true
	// false
}
